// A peer of bench/http/run: uWebSockets on one loop, which answers as the service does, with the same header fields
// (Date is its own).

#include <App.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

namespace {

using answer = uWS::HttpResponse<false>;

answer* begin(answer* to) {
    return to->writeHeader("Content-Type", "text/plain")->writeHeader("X-Request-Id", "0123456789abcdef");
}

bool asks_to_close(uWS::HttpRequest* request) { return request->getHeader("connection") == "close"; }

}  // namespace

int main() {
    uWS::App app;
    app.get("/",
            [](answer* to, uWS::HttpRequest* request) { begin(to)->end("Hello, QCon!\n", asks_to_close(request)); });
    app.post("/echo", [](answer* to, uWS::HttpRequest*) {
        to->onAborted([] {});
        auto body = std::make_unique<std::string>();
        to->onData([to, body = std::move(body)](std::string_view piece, bool last) {
            body->append(piece);
            if (last) begin(to)->end(*body);
        });
    });
    app.listen("127.0.0.1", 0, [](us_listen_socket_t* listener) {
        if (listener == nullptr) return;
        std::printf("%d\n", us_socket_local_port(0, reinterpret_cast<us_socket_t*>(listener)));
        std::fflush(stdout);
    });
    app.run();
}
