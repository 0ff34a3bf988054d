// As much of kubelet and of the scheduler as a deploy needs: pods become processes on addresses of their own, are probed by
// kubelet's probers as their manifests say, and end as kubelet ends them: hook, SIGTERM, SIGKILL.
package main

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"
)

type kubelet struct {
	*cluster
	program string

	guard sync.Mutex
	known map[types.UID]bool
	alive map[types.UID]*running
	ended []int
}

func newKubelet(c *cluster, program string) *kubelet {
	return &kubelet{cluster: c, program: program, known: map[types.UID]bool{}, alive: map[types.UID]*running{}}
}

func (k *kubelet) codes() []int {
	k.guard.Lock()
	defer k.guard.Unlock()
	return append([]int{}, k.ended...)
}

func (k *kubelet) end() {
	k.guard.Lock()
	defer k.guard.Unlock()
	for _, r := range k.alive {
		r.end()
	}
}

func (k *kubelet) run(ctx context.Context) {
	take := func(object any) {
		pod := object.(*v1.Pod)
		k.guard.Lock()
		nth := len(k.known) + 1
		fresh := !k.known[pod.UID]
		k.known[pod.UID] = true
		k.guard.Unlock()
		if fresh {
			go k.live(ctx, pod.DeepCopy(), nth)
		}
	}
	k.informers.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: take})
}

// nodeOf is the one that the DaemonSet's controller means, or the next in turn.
func nodeOf(pod *v1.Pod, nth int) string {
	if a := pod.Spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		for _, term := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
			for _, field := range term.MatchFields {
				return field.Values[0]
			}
		}
	}
	return fmt.Sprintf("node-%d", nth%nodes+1)
}

// variablesOf the container, those of its ConfigMaps first.
func (k *kubelet) variablesOf(ctx context.Context, container *v1.Container) (all []string) {
	for _, from := range container.EnvFrom {
		settings, err := k.client.CoreV1().ConfigMaps(k.space).Get(ctx, from.ConfigMapRef.Name, metav1.GetOptions{})
		if err != nil {
			k.t.Error(err)
			return nil
		}
		for name, value := range settings.Data {
			all = append(all, name+"="+value)
		}
	}
	for _, variable := range container.Env {
		all = append(all, variable.Name+"="+variable.Value)
	}
	return all
}

// life is a pod and what kubelet knows of it.
type life struct {
	k              *kubelet
	pod            *v1.Pod
	r              *running
	address        string
	started, ready bool
	since          metav1.Time
	stopping       bool
	runs           map[string]int // failures, or successes, in a row
}

func (k *kubelet) live(ctx context.Context, pod *v1.Pod, nth int) {
	binding := &v1.Binding{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, UID: pod.UID}, Target: v1.ObjectReference{Kind: "Node", Name: nodeOf(pod, nth)}}
	if err := k.client.CoreV1().Pods(k.space).Bind(ctx, binding, metav1.CreateOptions{}); err != nil {
		k.t.Error(err)
		return
	}
	address := fmt.Sprintf("10.244.0.%d", nth)
	container := &pod.Spec.Containers[0]
	w := workload{pod: pod, variables: k.variablesOf(ctx, container)}
	k.say("%s: begins on %s", pod.Name, binding.Target.Name)
	r, err := started(w, k.program, address, "--app.address="+address, "--debug.address="+address)
	if err != nil {
		k.t.Error(err)
		return
	}
	k.guard.Lock()
	k.alive[pod.UID] = r
	k.guard.Unlock()
	l := &life{k: k, pod: pod, r: r, address: address, since: metav1.Now(), runs: map[string]int{}}
	l.tell(ctx, nil)
	l.watch(ctx)
}

// watch until the process has ended.
func (l *life) watch(ctx context.Context) {
	c := l.r.container()
	due := map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.r.ended:
			l.gone(ctx)
			return
		case <-time.After(50 * time.Millisecond):
		}
		if !l.stopping {
			now, err := l.k.client.CoreV1().Pods(l.k.space).Get(ctx, l.pod.Name, metav1.GetOptions{})
			if err == nil && now.UID == l.pod.UID && now.DeletionTimestamp != nil {
				l.stopping = true
				go l.stop(*now.DeletionGracePeriodSeconds)
			}
		}
		each := map[string]*v1.Probe{"startup": c.StartupProbe, "readiness": c.ReadinessProbe, "liveness": c.LivenessProbe}
		for kind, probe := range each {
			if (kind == "startup") == l.started || (l.stopping && kind != "readiness") || time.Now().Before(due[kind]) {
				continue
			}
			due[kind] = time.Now().Add(time.Duration(probe.PeriodSeconds) * time.Second)
			l.hear(ctx, kind, probe, l.r.probed(probe))
		}
	}
}

// hear a verdict; the thresholds are as in pkg/kubelet/prober's worker.
func (l *life) hear(ctx context.Context, kind string, probe *v1.Probe, verdict string) {
	well := verdict == "success"
	if well != (l.runs[kind] > 0) {
		l.runs[kind] = 0
	}
	if well {
		l.runs[kind]++
	} else {
		l.runs[kind]--
	}
	if (well && l.runs[kind] < int(probe.SuccessThreshold)) || (!well && -l.runs[kind] < int(probe.FailureThreshold)) {
		return
	}
	switch {
	case kind == "startup" && well:
		l.started = true
		l.tell(ctx, nil)
	case kind == "readiness" && l.ready != well:
		l.ready = well
		if well {
			l.k.say("%s: ready", l.pod.Name)
		} else {
			l.k.say("%s: not ready: %s", l.pod.Name, verdict)
		}
		l.tell(ctx, nil)
	case kind != "readiness" && !well:
		l.k.t.Errorf("%s: %s: %s", l.pod.Name, kind, verdict)
	}
}

// stop as kubelet does: what the hook takes is gone from the grace period, of which 2 s are left at least.
func (l *life) stop(grace int64) {
	left := time.Duration(grace) * time.Second
	if hooks := l.r.container().Lifecycle; hooks != nil && hooks.PreStop != nil && hooks.PreStop.Sleep != nil {
		hook := time.Duration(hooks.PreStop.Sleep.Seconds) * time.Second
		l.k.say("%s: preStop sleeps %s", l.pod.Name, hook)
		time.Sleep(min(hook, left))
		left = max(left-hook, 2*time.Second)
	}
	l.k.say("%s: SIGTERM, SIGKILL %s later", l.pod.Name, left)
	l.r.signal(syscall.SIGTERM)
	select {
	case <-l.r.ended:
	case <-time.After(left):
		l.k.say("%s: SIGKILL", l.pod.Name)
		l.r.signal(syscall.SIGKILL)
	}
}

// gone is the end of a process; the pod goes with it.
func (l *life) gone(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	code := l.r.command.ProcessState.ExitCode()
	l.k.guard.Lock()
	l.k.ended = append(l.k.ended, code)
	delete(l.k.alive, l.pod.UID)
	l.k.guard.Unlock()
	l.k.say("%s: has ended, exit code %d", l.pod.Name, code)
	if code != 0 {
		fmt.Println(l.r.log())
	}
	l.ready = false
	l.tell(ctx, &v1.ContainerStateTerminated{ExitCode: int32(code), FinishedAt: metav1.Now()})
	none := int64(0)
	l.k.client.CoreV1().Pods(l.k.space).Delete(ctx, l.pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &none, Preconditions: metav1.NewUIDPreconditions(string(l.pod.UID))})
	l.r.end()
}

func condition(kind v1.PodConditionType, is bool) v1.PodCondition {
	status := v1.ConditionFalse
	if is {
		status = v1.ConditionTrue
	}
	return v1.PodCondition{Type: kind, Status: status, LastTransitionTime: metav1.Now()}
}

// tell the API server how the pod is.
func (l *life) tell(ctx context.Context, ended *v1.ContainerStateTerminated) {
	status := v1.PodStatus{Phase: v1.PodRunning, PodIP: l.address, PodIPs: []v1.PodIP{{IP: l.address}}, StartTime: &l.since,
		Conditions: []v1.PodCondition{condition(v1.PodScheduled, true), condition(v1.PodInitialized, true), condition(v1.ContainersReady, l.ready), condition(v1.PodReady, l.ready)}}
	state := v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: l.since}}
	if ended != nil {
		state = v1.ContainerState{Terminated: ended}
		status.Phase = v1.PodSucceeded
		if ended.ExitCode != 0 {
			status.Phase = v1.PodFailed
		}
	}
	status.ContainerStatuses = []v1.ContainerStatus{{Name: l.r.container().Name, Ready: l.ready, Started: &l.started, State: state}}
	err := retry.OnError(retry.DefaultBackoff, func(error) bool { return true }, func() error {
		now, err := l.k.client.CoreV1().Pods(l.k.space).Get(ctx, l.pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		now.Status = status
		_, err = l.k.client.CoreV1().Pods(l.k.space).UpdateStatus(ctx, now, metav1.UpdateOptions{})
		return err
	})
	if err != nil && ctx.Err() == nil {
		l.k.t.Error(err)
	}
}
