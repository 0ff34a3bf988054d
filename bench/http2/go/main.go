// What the service says on /, by net/http in HTTP/2: in clear, or over TLS with a certificate and its key. Prints its port;
// GOMAXPROCS says how many threads.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Request-Id"] = []string{"0123456789abcdef"}
		w.Header()["Content-Type"] = []string{"text/plain"}
		w.Header()["Content-Length"] = []string{"13"}
		io.WriteString(w, "Hello, QCon!\n")
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	server := http.Server{Protocols: protocols}
	if len(os.Args) > 2 {
		panic(server.ServeTLS(listener, os.Args[1], os.Args[2]))
	}
	panic(server.Serve(listener))
}
