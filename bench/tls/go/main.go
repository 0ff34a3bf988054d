// What the service says on /, 16,000 bytes and 30 MB, by net/http in HTTP/1.1 over TLS: `serve CERTIFICATE KEY` prints its
// port; GOMAXPROCS says how many threads. And a client that resumes sessions: `resume HOST:PORT SECONDS` makes connections for
// so long, eight at a time, with a request on each, and prints how many there were.
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

func serve(certificate, key string) error {
	answer := func(path string, body []byte) {
		http.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header()["X-Request-Id"] = []string{"0123456789abcdef"}
			w.Header()["Content-Type"] = []string{"text/plain"}
			w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
			w.Write(body)
		})
	}
	answer("/", []byte("Hello, QCon!\n"))
	answer("/sixteen", make([]byte, 16000))
	answer("/big", make([]byte, 30<<20))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	server := http.Server{TLSConfig: &tls.Config{NextProtos: []string{"http/1.1"}}}
	return server.ServeTLS(listener, certificate, key)
}

// A full handshake first, so that there is a ticket. True: it was resumed.
func connect(to string, how *tls.Config) (bool, error) {
	connection, err := tls.Dial("tcp", to, how)
	if err != nil {
		return false, err
	}
	defer connection.Close()
	if _, err = io.WriteString(connection, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
		return false, err
	}
	_, err = io.ReadAll(connection)
	return connection.ConnectionState().DidResume, err
}

func resume(to string, lasts time.Duration) error {
	var count, full atomic.Int64
	var failed atomic.Value
	var all sync.WaitGroup
	end := time.Now().Add(lasts)
	for worker := 0; worker < 8; worker++ {
		all.Add(1)
		go func() {
			defer all.Done()
			how := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
			for time.Now().Before(end) {
				resumed, err := connect(to, how)
				if err != nil {
					failed.Store(err)
					return
				}
				count.Add(1)
				if !resumed {
					full.Add(1)
				}
			}
		}()
	}
	all.Wait()
	if err, ok := failed.Load().(error); ok {
		return err
	}
	if full.Load() > 8 {
		return fmt.Errorf("%d of %d sessions were not resumed", full.Load(), count.Load())
	}
	fmt.Println(count.Load())
	return nil
}

func main() {
	var err error
	if os.Args[1] == "serve" {
		err = serve(os.Args[2], os.Args[3])
	} else {
		var seconds float64
		if seconds, err = strconv.ParseFloat(os.Args[3], 64); err == nil {
			err = resume(os.Args[2], time.Duration(seconds*float64(time.Second)))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
