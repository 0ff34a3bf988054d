// The routes of the exam in Go's net/http, as one would write them.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

func only(methods string, allowed func(string) bool, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !allowed(r.Method) {
			w.Header().Set("Allow", methods)
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		next(w, r)
	}
}

func text(path, body string) http.HandlerFunc {
	get := func(m string) bool { return m == http.MethodGet || m == http.MethodHead }
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			http.NotFound(w, r)
			return
		}
		only("GET, HEAD", get, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })(w, r)
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if tooLarge, ok := err.(*http.MaxBytesError); ok {
		http.Error(w, tooLarge.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		http.Error(w, "bad body", http.StatusBadRequest)
		return
	}
	w.Write(body)
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", text("/", "Hello, QCon!\n"))
	mux.HandleFunc("/livez", text("/livez", "ok\n"))
	mux.HandleFunc("/echo", only("POST", func(m string) bool { return m == http.MethodPost }, echo))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.WriteFile(os.Args[1], []byte(listener.Addr().String()), 0o644)
	http.Serve(listener, mux)
}
