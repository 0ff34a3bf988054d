// A cluster of which the API server, its store and the controllers are the real ones, in this process; kubelet is a page of
// code around kubelet's own probers (kubelet_test.go), and kube-proxy a list of endpoints that is a second old
// (clients_test.go). A deploy of each kind of workload under load, second by second. It wants a network namespace of its own.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/flowcontrol"
	apiservertesting "k8s.io/kubernetes/cmd/kube-apiserver/app/testing"
	"k8s.io/kubernetes/pkg/controller/daemon"
	"k8s.io/kubernetes/pkg/controller/deployment"
	"k8s.io/kubernetes/pkg/controller/endpointslice"
	"k8s.io/kubernetes/pkg/controller/replicaset"
	"k8s.io/kubernetes/pkg/controller/statefulset"
)

const nodes = 3

type cluster struct {
	t         *testing.T
	client    clientset.Interface
	dynamic   dynamic.Interface
	informers informers.SharedInformerFactory
	space     string

	mutex sync.Mutex
	began time.Time
}

// say is a line with the time since the deploy began.
func (c *cluster) say(form string, values ...any) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	fmt.Printf("%6.1f s  %s\n", time.Since(c.began).Seconds(), fmt.Sprintf(form, values...))
}

func newCluster(t *testing.T, ctx context.Context) *cluster {
	store := testserver.NewTestConfig(t)
	testserver.RunEtcd(t, store)
	storage := storagebackend.NewDefaultConfig("/registry", nil)
	storage.Transport.ServerList = []string{store.AdvertiseClientUrls[0].String()}
	server := apiservertesting.StartTestServerOrDie(t, nil, []string{
		"--advertise-address=10.244.0.250", "--endpoint-reconciler-type=none",
		"--disable-admission-plugins=ServiceAccount,TaintNodesByCondition"}, storage)
	t.Cleanup(server.TearDownFn)
	config := server.ClientConfig
	config.QPS, config.Burst = 1000, 1000
	c := &cluster{t: t, client: clientset.NewForConfigOrDie(config), dynamic: dynamic.NewForConfigOrDie(config), space: "proven", began: time.Now()}
	c.informers = informers.NewSharedInformerFactory(c.client, 0)
	c.made(ctx)
	c.control(ctx)
	return c
}

// made are the namespace, which admits what is restricted and nothing else, and the nodes.
func (c *cluster) made(ctx context.Context) {
	space := &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.space, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
	if _, err := c.client.CoreV1().Namespaces().Create(ctx, space, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
	for nth := 1; nth <= nodes; nth++ {
		node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", nth)}}
		made, err := c.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
		if err != nil {
			c.t.Fatal(err)
		}
		made.Status.Conditions = []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue}}
		if _, err = c.client.CoreV1().Nodes().UpdateStatus(ctx, made, metav1.UpdateOptions{}); err != nil {
			c.t.Fatal(err)
		}
	}
}

// control starts the controllers, as kube-controller-manager does.
func (c *cluster) control(ctx context.Context) {
	apps, core, f := c.informers.Apps().V1(), c.informers.Core().V1(), c.informers
	deployments, err := deployment.NewDeploymentController(ctx, apps.Deployments(), apps.ReplicaSets(), core.Pods(), c.client)
	if err != nil {
		c.t.Fatal(err)
	}
	daemons, err := daemon.NewDaemonSetsController(ctx, apps.DaemonSets(), apps.ControllerRevisions(), core.Pods(), core.Nodes(), c.client, flowcontrol.NewBackOff(time.Second, 15*time.Minute))
	if err != nil {
		c.t.Fatal(err)
	}
	replicas := replicaset.NewReplicaSetController(ctx, apps.ReplicaSets(), core.Pods(), c.client, replicaset.BurstReplicas)
	sets := statefulset.NewStatefulSetController(ctx, core.Pods(), apps.StatefulSets(), core.PersistentVolumeClaims(), apps.ControllerRevisions(), c.client)
	slices := endpointslice.NewController(ctx, core.Pods(), core.Services(), core.Nodes(), f.Discovery().V1().EndpointSlices(), 100, c.client, 500*time.Millisecond)
	f.Start(ctx.Done())
	f.WaitForCacheSync(ctx.Done())
	go deployments.Run(ctx, 2)
	go daemons.Run(ctx, 2)
	go replicas.Run(ctx, 2)
	go sets.Run(ctx, 2)
	go slices.Run(ctx, 2)
}

var resources = map[string]string{"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets", "Service": "services", "ConfigMap": "configmaps", "PodDisruptionBudget": "poddisruptionbudgets", "NetworkPolicy": "networkpolicies"}

// applied creates what kubectl renders of an overlay, and returns the workload in it.
func (c *cluster) applied(ctx context.Context, overlay string) (kind, name string) {
	text, err := exec.Command("kubectl", "kustomize", overlay).Output()
	if err != nil {
		c.t.Fatal(err)
	}
	all, err := documents(bytes.TrimSpace(text))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, document := range all {
		object := &unstructured.Unstructured{}
		if err = yaml.Unmarshal(document, &object.Object); err != nil {
			c.t.Fatal(err)
		}
		options := metav1.CreateOptions{FieldValidation: "Strict"}
		if _, err = c.dynamic.Resource(resourceOf(object.GroupVersionKind())).Namespace(c.space).Create(ctx, object, options); err != nil {
			c.t.Fatalf("%s: %v", object.GetKind(), err)
		}
		switch object.GetKind() {
		case "Deployment", "StatefulSet", "DaemonSet":
			kind, name = object.GetKind(), object.GetName()
		}
	}
	return kind, name
}

func resourceOf(kind schema.GroupVersionKind) schema.GroupVersionResource {
	return kind.GroupVersion().WithResource(resources[kind.Kind])
}

// rolledOut is what `kubectl rollout status` waits for.
func (c *cluster) rolledOut(ctx context.Context, kind, name string) bool {
	switch kind {
	case "Deployment":
		d, err := c.client.AppsV1().Deployments(c.space).Get(ctx, name, metav1.GetOptions{})
		return err == nil && d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas == *d.Spec.Replicas && d.Status.Replicas == d.Status.UpdatedReplicas && d.Status.AvailableReplicas == d.Status.UpdatedReplicas
	case "StatefulSet":
		s, err := c.client.AppsV1().StatefulSets(c.space).Get(ctx, name, metav1.GetOptions{})
		return err == nil && s.Status.ObservedGeneration >= s.Generation && s.Status.UpdateRevision == s.Status.CurrentRevision && s.Status.ReadyReplicas == *s.Spec.Replicas && s.Status.UpdatedReplicas == *s.Spec.Replicas
	}
	d, err := c.client.AppsV1().DaemonSets(c.space).Get(ctx, name, metav1.GetOptions{})
	return err == nil && d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedNumberScheduled == d.Status.DesiredNumberScheduled && d.Status.NumberAvailable == d.Status.DesiredNumberScheduled && d.Status.DesiredNumberScheduled == nodes
}

// settled is that, with all pods of the revision before gone.
func (c *cluster) settled(ctx context.Context, kind, name string) {
	for end := time.Now().Add(4 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if !c.rolledOut(ctx, kind, name) {
			continue
		}
		pods, err := c.client.CoreV1().Pods(c.space).List(ctx, metav1.ListOptions{})
		gone := err == nil
		for nth := 0; gone && nth < len(pods.Items); nth++ {
			gone = pods.Items[nth].DeletionTimestamp == nil
		}
		if gone {
			return
		}
	}
	c.t.Fatal("the rollout has not come to its end")
}

// restarted is `kubectl rollout restart`.
func (c *cluster) restarted(ctx context.Context, kind, name string) {
	patch := []byte(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"now"}}}}}`)
	group := appsv1.SchemeGroupVersion.WithResource(resources[kind])
	if _, err := c.dynamic.Resource(group).Namespace(c.space).Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) emptied(ctx context.Context, kind, name string) {
	policy := metav1.DeletePropagationBackground
	group := appsv1.SchemeGroupVersion.WithResource(resources[kind])
	if err := c.dynamic.Resource(group).Namespace(c.space).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
		c.t.Fatal(err)
	}
}

func TestADeploySecondBySecond(t *testing.T) {
	overlay, program := os.Getenv("OVERLAY"), os.Getenv("PROGRAM")
	if overlay == "" || program == "" {
		t.Skip("OVERLAY and PROGRAM say what is deployed")
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := newCluster(t, ctx)
	k := newKubelet(c, program)
	k.run(ctx)
	kind, name := c.applied(ctx, overlay)
	c.settled(ctx, kind, name)
	clients := newClients(c, 8)
	clients.begin(ctx)
	time.Sleep(2 * time.Second)
	c.mutex.Lock()
	c.began = time.Now()
	c.mutex.Unlock()
	c.say("kubectl rollout restart %s/%s", kind, name)
	c.restarted(ctx, kind, name)
	c.settled(ctx, kind, name)
	c.say("rolled out, and the pods of the revision before are gone")
	time.Sleep(2 * time.Second)
	answered, failed := clients.end()
	c.say("%s: %d answered, %d failed", kind, answered, len(failed))
	for nth, fault := range failed {
		if nth < 5 {
			t.Error(fault)
		}
	}
	if len(failed) > 0 || answered < 500 {
		t.Error("a deploy that somebody has felt")
	}
	if codes := k.codes(); len(codes) < nodes {
		t.Errorf("%d pods have ended", len(codes))
	} else {
		for _, code := range codes {
			if code != 0 {
				t.Errorf("exit codes %v", codes)
			}
		}
	}
	cancel()
	k.end()
}
