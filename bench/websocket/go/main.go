// A peer of bench/websocket/run: coder/websocket. Messages from 256 bytes are compressed where that has been agreed on.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

func echo(answer http.ResponseWriter, asked *http.Request) {
	socket, err := websocket.Accept(answer, asked, &websocket.AcceptOptions{
		CompressionMode: websocket.CompressionNoContextTakeover, CompressionThreshold: 256})
	if err != nil {
		return
	}
	defer socket.CloseNow()
	for {
		kind, message, err := socket.Read(context.Background())
		if err != nil || socket.Write(context.Background(), kind, message) != nil {
			return
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, http.HandlerFunc(echo)))
}
