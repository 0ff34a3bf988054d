// The two-port program of the lesson in its final form, for the comparison in docs/shutdown-comparison.md: main owns
// an application server and a debug server, a stop channel, a collector of done errors and an event tracker with a
// bounded queue and a Shutdown with a deadline. Signals were left to the reader; here they close the stop channel.
// Nothing but the standard library, and nothing tuned: it is net/http as its documentation shows it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// Tracker records events from handlers and delivers them on one goroutine.
type Tracker struct {
	events chan string
	done   chan struct{}
}

func NewTracker() *Tracker {
	return &Tracker{events: make(chan string, 4096), done: make(chan struct{})}
}

func (t *Tracker) Event(ctx context.Context, data string) error {
	select {
	case t.events <- data:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *Tracker) Run() {
	for range t.events {
	}
	close(t.done)
}

func (t *Tracker) Shutdown(ctx context.Context) error {
	close(t.events)
	select {
	case <-t.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func appRoutes(tracker *Tracker) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "Hello, QCon!")
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		ms, _ := strconv.Atoi(r.URL.Query().Get("ms"))
		time.Sleep(time.Duration(ms) * time.Millisecond)
		fmt.Fprintln(w, "slept")
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) {
		left, _ := strconv.Atoi(r.URL.Query().Get("bytes"))
		w.Header().Set("Content-Length", strconv.Itoa(left))
		piece := make([]byte, 64*1024)
		for left > 0 {
			if left < len(piece) {
				piece = piece[:left]
			}
			n, err := w.Write(piece)
			if err != nil {
				return
			}
			left -= n
		}
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body)
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := tracker.Event(r.Context(), string(body)); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
	return mux
}

// serve runs a server until stop is closed, then shuts it down within the budget.
func serve(listener net.Listener, handler http.Handler, stop <-chan struct{}, budget time.Duration) error {
	server := http.Server{Handler: handler}
	finished := make(chan error, 1)
	go func() {
		<-stop
		ctx, cancel := context.WithTimeout(context.Background(), budget)
		defer cancel()
		finished <- server.Shutdown(ctx)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-finished // Serve returns at once; what is in flight is only done when Shutdown is
}

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return listener
}

func main() {
	budget := flag.Duration("budget", 25*time.Second, "for the whole stop")
	flag.Parse()
	tracker := NewTracker()
	go tracker.Run()
	app, debug := listen(), listen()

	stop := make(chan struct{})
	done := make(chan error, 2)
	go func() { done <- serve(debug, http.DefaultServeMux, stop, *budget) }()
	go func() { done <- serve(app, appRoutes(tracker), stop, *budget) }()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)

	ready := fmt.Sprintf("{\"pid\":%d,\"app\":%q,\"debug\":%q}\n", os.Getpid(), app.Addr(), debug.Addr())
	if err := os.WriteFile("ready.json", []byte(ready), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}

	code, stopped := 0, false
	halt := func() {
		if !stopped {
			stopped = true
			close(stop)
		}
	}
	for ended := 0; ended < 2; {
		select {
		case <-signals:
			halt()
		case err := <-done:
			ended++
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
			halt()
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := tracker.Shutdown(ctx); err != nil {
		code = 1
	}
	os.Exit(code)
}
