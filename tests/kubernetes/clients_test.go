// Clients of a Service, each with connections that it keeps: a new one goes to an endpoint that was ready a second ago, as
// with a kube-proxy that is a second behind.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/labels"
)

const behind = time.Second

type clients struct {
	*cluster
	count int
	stop  chan struct{}
	all   sync.WaitGroup
	turn  atomic.Uint64

	guard    sync.Mutex
	seen     []snapshot
	answered int
	failed   []string
	second   int // answered in it
	slowest  time.Duration
}

type snapshot struct {
	at     time.Time
	places []string
}

func newClients(c *cluster, count int) *clients {
	return &clients{cluster: c, count: count, stop: make(chan struct{})}
}

// places are what kube-proxy sends to: ready ones, or, where there is none, those that serve while they end.
func (c *clients) places() []string {
	slices, err := c.informers.Discovery().V1().EndpointSlices().Lister().EndpointSlices(c.space).List(labels.Everything())
	if err != nil {
		return nil
	}
	var ready, serving []string
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			place := net.JoinHostPort(endpoint.Addresses[0], fmt.Sprint(*slice.Ports[0].Port))
			if is := endpoint.Conditions.Ready; is != nil && *is {
				ready = append(ready, place)
			} else if is := endpoint.Conditions.Serving; is != nil && *is {
				serving = append(serving, place)
			}
		}
	}
	if len(ready) == 0 {
		return serving
	}
	return ready
}

// look at them, and forget what is older than what kube-proxy has.
func (c *clients) look() {
	now := snapshot{time.Now(), c.places()}
	c.guard.Lock()
	defer c.guard.Unlock()
	c.seen = append(c.seen, now)
	for len(c.seen) > 1 && now.at.Sub(c.seen[1].at) > behind {
		c.seen = c.seen[1:]
	}
}

func (c *clients) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	c.guard.Lock()
	places := c.seen[0].places
	c.guard.Unlock()
	if len(places) == 0 {
		return nil, fmt.Errorf("no endpoint")
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", places[c.turn.Add(1)%uint64(len(places))])
}

// request number nth: of those that nobody repeats, also of those that a client would.
func request(nth int) (*http.Request, error) {
	switch nth % 4 {
	case 0:
		return http.NewRequest("GET", "http://service/slow?ms=300", nil)
	case 1:
		return http.NewRequest("POST", "http://service/events", io.NopCloser(strings.NewReader("an event")))
	case 2:
		return http.NewRequest("POST", "http://service/echo", io.NopCloser(strings.NewReader("an echo")))
	}
	return http.NewRequest("GET", "http://service/", nil)
}

func (c *clients) ask(client *http.Client, nth int) error {
	asked, err := request(nth)
	if err != nil {
		return err
	}
	answer, err := client.Do(asked)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err = io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s: %s", asked.URL, answer.Status)
	}
	return nil
}

func (c *clients) begin(ctx context.Context) {
	if err := until(func() bool { return len(c.places()) >= nodes }); err != nil {
		c.t.Fatal("no endpoints: ", err)
	}
	c.look()
	for nth := 0; nth < c.count; nth++ {
		c.all.Add(1)
		go c.askAgain(nth)
	}
	c.all.Add(1)
	go func() {
		defer c.all.Done()
		for tick := 0; ; tick++ {
			select {
			case <-c.stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			c.look()
			if tick%20 == 19 {
				c.sum()
			}
		}
	}()
}

// sum of a second, when there is something to say.
func (c *clients) sum() {
	c.guard.Lock()
	answered, failed, slowest := c.second, len(c.failed), c.slowest
	c.second, c.slowest = 0, 0
	c.guard.Unlock()
	c.say("                    %d answered, %d failed so far, slowest %d ms", answered, failed, slowest.Milliseconds())
}

func (c *clients) askAgain(of int) {
	defer c.all.Done()
	client := &http.Client{Transport: &http.Transport{DialContext: c.dial}, Timeout: 20 * time.Second}
	for nth := of; ; nth++ {
		select {
		case <-c.stop:
			return
		case <-time.After(20 * time.Millisecond):
		}
		began := time.Now()
		err := c.ask(client, nth)
		c.guard.Lock()
		if err != nil {
			c.failed = append(c.failed, err.Error())
		} else {
			c.answered++
			c.second++
			c.slowest = max(c.slowest, time.Since(began))
		}
		c.guard.Unlock()
	}
}

func (c *clients) end() (answered int, failed []string) {
	close(c.stop)
	c.all.Wait()
	return c.answered, c.failed
}
