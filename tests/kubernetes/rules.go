// What docs/kubernetes.md says of graces, resizes and endpoints, asked of the code that decides it.
package main

import (
	"context"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	genericrequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"
	"k8s.io/endpointslice"
	endpointsliceutil "k8s.io/endpointslice/util"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/registry/core/pod"
)

// inCore is a pod that runs on a node, as the API server has it in its hands.
func inCore(of *v1.Pod) (*core.Pod, error) {
	running := of.DeepCopy()
	running.Spec.NodeName, running.ResourceVersion, running.UID = "node", "1", "1"
	running.Status.Phase = v1.PodRunning
	made, err := legacyscheme.Scheme.ConvertToVersion(running, core.SchemeGroupVersion)
	if err != nil {
		return nil, err
	}
	return made.(*core.Pod), nil
}

// graceOf a DELETE of a pod that runs: what the API server makes of what it says.
func graceOf(of *v1.Pod, given *int64) (int64, error) {
	made, err := inCore(of)
	if err != nil {
		return 0, err
	}
	options := &metav1.DeleteOptions{GracePeriodSeconds: given}
	if !pod.Strategy.CheckGracefulDelete(context.Background(), made, options) {
		return 0, fmt.Errorf("not graceful")
	}
	return *options.GracePeriodSeconds, nil
}

// resized: whether the API server takes other limits for a pod that runs.
func resized(of *v1.Pod, cpu, memory string) error {
	before, err := inCore(of)
	if err != nil {
		return err
	}
	after := before.DeepCopy()
	limits := after.Spec.Containers[0].Resources.Limits
	limits[core.ResourceCPU], limits[core.ResourceMemory] = resource.MustParse(cpu), resource.MustParse(memory)
	ctx := genericrequest.WithNamespace(context.Background(), namespace)
	pod.ResizeStrategy.PrepareForUpdate(ctx, after, before)
	if kept := after.Spec.Containers[0].Resources.Limits[core.ResourceCPU]; kept.String() != cpu {
		return fmt.Errorf("dropped in silence")
	}
	return pod.ResizeStrategy.ValidateUpdate(ctx, after, before).ToAggregate()
}

// conditions of the endpoint of a pod, as the controller of EndpointSlices makes them.
func conditions(published, ready, terminating bool) (string, error) {
	service := &v1.Service{ObjectMeta: metav1.ObjectMeta{Name: "clients", Namespace: namespace}, Spec: v1.ServiceSpec{
		PublishNotReadyAddresses: published, IPFamilies: []v1.IPFamily{v1.IPv4Protocol}, Ports: []v1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}}}}
	of := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod", Namespace: namespace}, Spec: v1.PodSpec{NodeName: "node"}}
	status := v1.ConditionFalse
	if ready {
		status = v1.ConditionTrue
	}
	of.Status = v1.PodStatus{Phase: v1.PodRunning, PodIP: "10.0.0.1", PodIPs: []v1.PodIP{{IP: "10.0.0.1"}}, Conditions: []v1.PodCondition{{Type: v1.PodReady, Status: status}}}
	if terminating {
		now := metav1.Now()
		of.DeletionTimestamp = &now
	}
	client := fake.NewSimpleClientset()
	nodes := informers.NewSharedInformerFactory(client, 0).Core().V1().Nodes()
	nodes.Informer().GetStore().Add(&v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}})
	reconciler := endpointslice.NewReconciler(client, nodes.Lister(), 100, endpointsliceutil.NewEndpointSliceTracker(), nil, record.NewFakeRecorder(10), "test")
	if err := reconciler.Reconcile(klog.Background(), service, []*v1.Pod{of}, nil, time.Now()); err != nil {
		return "", err
	}
	slices, err := client.DiscoveryV1().EndpointSlices(namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil || len(slices.Items) != 1 || len(slices.Items[0].Endpoints) != 1 {
		return "", fmt.Errorf("%d slices, %v", len(slices.Items), err)
	}
	return inWords(slices.Items[0].Endpoints[0].Conditions), nil
}

func inWords(c discovery.EndpointConditions) string {
	return fmt.Sprintf("ready %t, serving %t, terminating %t", *c.Ready, *c.Serving, *c.Terminating)
}

// rules says each, and whether it is as the page has it.
func rules(of *v1.Pod) bool {
	right := true
	say := func(what, is, expected string, err error) {
		word := ""
		if err != nil || is != expected {
			right, word = false, fmt.Sprintf(", NOT %s (%v)", expected, err)
		}
		fmt.Printf("rules: %s: %s%s\n", what, is, word)
	}
	seconds := func(n int64) *int64 { return &n }
	for _, row := range []struct {
		given    *int64
		expected string
	}{{nil, fmt.Sprint(*of.Spec.TerminationGracePeriodSeconds)}, {seconds(5), "5"}, {seconds(600), "600"}, {seconds(0), "0"}} {
		grace, err := graceOf(of, row.given)
		asked := "nothing"
		if row.given != nil {
			asked = fmt.Sprint(*row.given)
		}
		say("a DELETE that asks for "+asked+" gives, in seconds", fmt.Sprint(grace), row.expected, err)
	}
	for _, cpu := range []string{"4", "500m"} {
		err := resized(of, cpu, "512Mi")
		say("a resize in place to "+cpu+" CPUs is taken", fmt.Sprint(err == nil), "true", err)
	}
	for _, row := range []struct {
		published, ready, terminating bool
		expected                      string
	}{
		{false, true, false, "ready true, serving true, terminating false"},
		{false, true, true, "ready false, serving true, terminating true"},
		{false, false, true, "ready false, serving false, terminating true"},
		{true, false, false, "ready true, serving false, terminating false"},
		{true, false, true, "ready true, serving false, terminating true"},
	} {
		is, err := conditions(row.published, row.ready, row.terminating)
		say(fmt.Sprintf("publishNotReadyAddresses %t, a pod that is ready %t, terminating %t", row.published, row.ready, row.terminating), is, row.expected, err)
	}
	return right
}
