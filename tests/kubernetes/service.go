// The real program as the container of a pod: its settings from the manifests, its ports free ones, and kubelet's own
// probers, which ask it what the manifests say.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/kubernetes/pkg/probe"
	execprobe "k8s.io/kubernetes/pkg/probe/exec"
	grpcprobe "k8s.io/kubernetes/pkg/probe/grpc"
	httpprobe "k8s.io/kubernetes/pkg/probe/http"
	"k8s.io/utils/exec"
)

// workload is what the manifests say of a container.
type workload struct {
	pod       *v1.Pod
	variables []string
}

func (w workload) container() *v1.Container { return &w.pod.Spec.Containers[0] }

// running is a process of it.
type running struct {
	workload
	program    string
	host       string // of the pod
	inside     string // where the debug port listens
	app, debug int
	command    *osexec.Cmd
	ended      chan struct{}
	place      string
}

// alone are the flags of one that has no cluster around it.
var alone = []string{"--app.port=0", "--debug.port=0", "--tracker.durability=memory", "--tracker.sink=none"}

func started(w workload, program, host string, flags ...string) (*running, error) {
	place, err := os.MkdirTemp("", "kubernetes")
	if err != nil {
		return nil, err
	}
	r := &running{workload: w, program: program, host: host, ended: make(chan struct{}), place: place}
	ready := filepath.Join(place, "ready")
	r.command = osexec.Command(program, append([]string{"--ready_file=" + ready}, flags...)...)
	r.command.Dir = place
	r.command.Env = append([]string{"PATH=/usr/bin:/bin"}, w.variables...)
	log, err := os.Create(filepath.Join(place, "log"))
	if err != nil {
		return nil, err
	}
	r.command.Stderr = log
	if err = r.command.Start(); err != nil {
		return nil, err
	}
	go func() { r.command.Wait(); log.Close(); close(r.ended) }()
	var places struct{ App, Debug string }
	err = until(func() bool {
		text, err := os.ReadFile(ready)
		return r.over() || (err == nil && json.Unmarshal(text, &places) == nil)
	})
	if err != nil || r.over() {
		err = fmt.Errorf("does not start: %s", r.log())
		r.end()
		return nil, err
	}
	r.app, r.debug = portOf(places.App), portOf(places.Debug)
	r.inside, _, _ = net.SplitHostPort(places.Debug)
	return r, nil
}

func portOf(place string) int {
	_, port, _ := net.SplitHostPort(place)
	number, _ := strconv.Atoi(port)
	return number
}

func (r *running) log() string {
	text, _ := os.ReadFile(filepath.Join(r.place, "log"))
	return string(text)
}

func (r *running) over() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// end of it, whatever state it is in.
func (r *running) end() {
	r.command.Process.Signal(syscall.SIGCONT)
	r.command.Process.Kill()
	select {
	case <-r.ended:
	case <-time.After(10 * time.Second):
	}
	os.RemoveAll(r.place)
}

// code with which it ends by itself.
func (r *running) code() int {
	select {
	case <-r.ended:
		return r.command.ProcessState.ExitCode()
	case <-time.After(40 * time.Second):
		return -1
	}
}

// ask is a connection on which `text` has been sent, and which stays open.
func (r *running) ask(text string) (net.Conn, error) {
	connection, err := net.Dial("tcp", net.JoinHostPort(r.host, strconv.Itoa(r.app)))
	if err == nil && text != "" {
		_, err = connection.Write([]byte(text))
	}
	return connection, err
}

// verdicts of one round: what kubelet would hear at this moment.
type verdicts struct{ startup, readiness, liveness, grpc string }

func (r *running) verdicts() verdicts {
	c := r.container()
	return verdicts{r.probed(c.StartupProbe), r.probed(c.ReadinessProbe), r.probed(c.LivenessProbe), r.grpcProbed()}
}

// probed is pkg/kubelet/prober's runProbe, less the events and the three tries after an error.
func (r *running) probed(p *v1.Probe) string {
	timeout := time.Duration(p.TimeoutSeconds) * time.Second
	if p.Exec != nil {
		return said(execprobe.New().Probe(r.inContainer(p.Exec.Command, timeout)))
	}
	action := *p.HTTPGet
	action.Port = intstr.FromInt32(int32(r.app))
	request, err := httpprobe.NewRequestForHTTPGetAction(&action, r.container(), r.host, "probe")
	if err != nil {
		return err.Error()
	}
	return said(httpprobe.New(false).Probe(request, timeout))
}

// grpcProbed is what a `grpc` probe of the app's port with kubelet's default of one second would say.
func (r *running) grpcProbed() string {
	return said(grpcprobe.New().Probe(r.host, "", r.app, time.Second, grpcprobe.ProbeOptions{}))
}

// inContainer is a command with the variables of the container, which the runtime ends after its time.
func (r *running) inContainer(words []string, timeout time.Duration) exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	time.AfterFunc(timeout+time.Second, cancel)
	command := exec.New().CommandContext(ctx, r.program, words[1:]...)
	command.SetEnv(append(append([]string{}, r.variables...), "SERVICE_DEBUG_PORT="+strconv.Itoa(r.debug), "SERVICE_DEBUG_ADDRESS="+r.inside))
	return command
}

func said(result probe.Result, output string, err error) string {
	if err != nil {
		return fmt.Sprintf("%s (%v)", result, err)
	}
	if result == probe.Success {
		return string(result)
	}
	return strings.TrimSpace(fmt.Sprintf("%s: %s", result, output))
}

func until(true func() bool) error {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if true() {
			return nil
		}
	}
	return fmt.Errorf("in vain for 20 s")
}
