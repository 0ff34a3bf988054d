// What the service says on / and /echo, by fasthttp. Prints its port; GOMAXPROCS says how many threads.
package main

import (
	"fmt"
	"net"

	"github.com/valyala/fasthttp"
)

func answer(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Set("X-Request-Id", "0123456789abcdef")
	if string(ctx.Path()) == "/echo" {
		ctx.SetContentType("application/octet-stream")
		ctx.SetBody(ctx.PostBody())
		return
	}
	ctx.SetContentType("text/plain")
	ctx.SetBodyString("Hello, QCon!\n")
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	server := &fasthttp.Server{Handler: answer, NoDefaultServerHeader: true}
	if err := server.Serve(listener); err != nil {
		panic(err)
	}
}
