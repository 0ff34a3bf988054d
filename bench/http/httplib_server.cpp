// What the service says on / and /echo, by cpp-httplib: a thread a connection. Prints its port.
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>

int main() {
    httplib::Server server;
    // As many threads as the loads have connections at once: one of fewer would leave the others without an answer.
    server.new_task_queue = [] { return new httplib::ThreadPool(1'024); };
    server.set_keep_alive_max_count(1'000'000'000);
    server.set_keep_alive_timeout(60);
    server.set_tcp_nodelay(true);
    server.set_default_headers({{"X-Request-Id", "0123456789abcdef"}});
    server.Get("/", [](const httplib::Request&, httplib::Response& response) {
        response.set_content("Hello, QCon!\n", "text/plain");
    });
    server.Post("/echo", [](const httplib::Request& request, httplib::Response& response) {
        response.set_content(request.body, "application/octet-stream");
    });
    const int port = server.bind_to_any_port("127.0.0.1");
    if (port < 0) return EXIT_FAILURE;
    std::printf("%d\n", port);
    std::fflush(stdout);
    return server.listen_after_bind() ? EXIT_SUCCESS : EXIT_FAILURE;
}
