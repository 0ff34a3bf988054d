// A peer of bench/websocket/run: uWebSockets, as its examples have it. Messages from 256 bytes are compressed where
// that has been agreed on, without context takeover: as the service does it.

#include <App.h>

#include <cstdio>
#include <string_view>

namespace {

struct nothing {};
using socket_of = uWS::WebSocket<false, true, nothing>;

}  // namespace

int main() {
    uWS::App app;
    uWS::App::WebSocketBehavior<nothing> echo, broadcast;
    echo.compression = uWS::SHARED_COMPRESSOR;
    echo.maxPayloadLength = 1024 * 1024;
    echo.message = [](socket_of* socket, std::string_view message, uWS::OpCode kind) {
        socket->send(message, kind, message.size() >= 256);
    };
    broadcast.maxPayloadLength = 1024 * 1024;
    broadcast.open = [](socket_of* socket) { socket->subscribe("all"); };
    broadcast.message = [&app](socket_of*, std::string_view message, uWS::OpCode kind) {
        app.publish("all", message, kind, false);
    };
    app.ws<nothing>("/ws", std::move(echo));
    app.ws<nothing>("/all", std::move(broadcast));
    app.listen("127.0.0.1", 0, [](us_listen_socket_t* listener) {
        if (listener == nullptr) return;
        std::printf("%d\n", us_socket_local_port(0, reinterpret_cast<us_socket_t*>(listener)));
        std::fflush(stdout);
    });
    app.run();
}
