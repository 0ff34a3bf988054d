// The phases of a life, and what kubelet hears in each.
package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

const slow = "GET /slow?ms=600000 HTTP/1.1\r\nHost: a\r\n\r\n"

// phase: `enter` leads a running service into it; each verdict must match its expression.
type phase struct {
	name                      string
	flags                     []string
	enter                     func(r *running) error
	readiness, liveness, grpc string
}

func (r *running) signal(what syscall.Signal) error { return r.command.Process.Signal(what) }

// get of the debug port, which answers in every phase.
func (r *running) get(path string) (status int, body string) {
	answer, err := http.Get("http://" + net.JoinHostPort(r.inside, strconv.Itoa(r.debug)) + path)
	if err != nil {
		return 0, ""
	}
	defer answer.Body.Close()
	text := new(strings.Builder)
	buffer := make([]byte, 4096)
	for {
		n, err := answer.Body.Read(buffer)
		text.Write(buffer[:n])
		if err != nil {
			return answer.StatusCode, text.String()
		}
	}
}

func (r *running) stopBegun() error {
	if err := r.signal(syscall.SIGTERM); err != nil {
		return err
	}
	return until(func() bool { status, _ := r.get("/readyz"); return status == http.StatusServiceUnavailable })
}

// hold requests that are in handlers, each on a connection of its own.
func (r *running) hold(count int) error {
	for nth := 0; nth < count; nth++ {
		if _, err := r.ask(slow); err != nil {
			return err
		}
	}
	in := fmt.Sprintf(`route="GET /slow"} %d`, count)
	return until(func() bool {
		_, text := r.get("/metrics")
		return strings.Contains(text, "http_requests_in_flight{server=\"app\","+in)
	})
}

// idle connections, each with one answer behind it.
func (r *running) idle(count int) error {
	for nth := 0; nth < count; nth++ {
		connection, err := r.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if err != nil {
			return err
		}
		if n, err := connection.Read(make([]byte, 4096)); n == 0 {
			return err
		}
	}
	return nil
}

// freeze it: the signal is heard by a thread, which must have its turn before the others stop.
func (r *running) freeze() error {
	if err := r.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	threads := fmt.Sprintf("/proc/%d/task/", r.command.Process.Pid)
	return until(func() bool {
		all, err := os.ReadDir(threads)
		for _, thread := range all {
			text, _ := os.ReadFile(threads + thread.Name() + "/stat")
			if !strings.Contains(string(text), ") T ") {
				return false
			}
		}
		return err == nil
	})
}

func phases() []phase {
	const success, refused = "^success$", "connection refused"
	some := []string{"--app.max_connections=8"}
	nothing := func(*running) error { return nil }
	return []phase{
		{"serving", nil, nothing, success, success, success},
		{"lame duck", []string{"--shutdown.lame_duck=20s", "--shutdown.budget=30s"}, (*running).stopBegun,
			"statuscode: 503", success, "NOT_SERVING"},
		{"drain, a request under way", []string{"--shutdown.lame_duck=0s"}, func(r *running) error {
			if err := r.hold(1); err != nil {
				return err
			}
			if err := r.stopBegun(); err != nil {
				return err
			}
			return until(func() bool { return strings.Contains(r.probed(r.container().ReadinessProbe), refused) })
		}, refused, success, "failure: "},
		{"SIGSTOP", nil, (*running).freeze,
			"failure: .*(deadline exceeded|Timeout)", "^failure", "failure: "},
		{"SIGCONT after that", nil, func(r *running) error {
			return errors.Join(r.freeze(), r.signal(syscall.SIGCONT))
		}, success, success, success},
		{"max_in_flight full", []string{"--app.max_in_flight=4"}, func(r *running) error { return r.hold(4) },
			success, success, success},
		{"max_connections full of busy ones", some, func(r *running) error { return r.hold(8) }, success, success, success},
		{"max_connections full of idle ones", some, func(r *running) error { return r.idle(8) }, success, success, success},
	}
}

// lived one phase, and says whether kubelet heard what it should.
func lived(w workload, program, host string, p phase) bool {
	r, err := started(w, program, host, append(append([]string{}, alone...), p.flags...)...)
	if err != nil {
		fmt.Printf("probes: %s: %v\n", p.name, err)
		return false
	}
	defer r.end()
	if err = p.enter(r); err != nil {
		fmt.Printf("probes: %s: %v\n%s", p.name, err, r.log())
		return false
	}
	heard := r.verdicts()
	right := true
	for _, row := range []struct{ kind, heard, expected string }{
		{"startup", heard.startup, p.readiness},
		{"readiness", heard.readiness, p.readiness},
		{"liveness", heard.liveness, p.liveness},
		{"grpc", heard.grpc, p.grpc}, // [module http2/]
	} {
		word := ""
		if !regexp.MustCompile("(?s)" + row.expected).MatchString(row.heard) {
			right, word = false, ", NOT "+row.expected
		}
		fmt.Printf("probes: %-34s %-10s %s%s\n", p.name, row.kind, row.heard, word)
	}
	return right
}
