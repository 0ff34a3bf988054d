#include "cmd/service/probe.hpp"

#include <fmt/format.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <string>

#include "server/net/unix_socket.hpp"

namespace asio = boost::asio;
using protocol = asio::generic::stream_protocol;

namespace {

protocol::endpoint place_of(const server::options& debug) {
    if (const auto path = server::unix_path_of(debug.address); !path.empty())
        return asio::local::stream_protocol::endpoint(path);
    // Linux takes an unspecified address for the loopback's.
    return asio::ip::tcp::endpoint(asio::ip::make_address(debug.address), debug.port);
}

}  // namespace

bool probe(const server::options& debug, std::string_view what, const ask_through& through) {
    const auto until = lifecycle::clock::now() + std::chrono::milliseconds(900);
    const auto request = fmt::format("GET /{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", what);
    std::string answer;
    asio::io_context io(1);
    protocol::socket socket(io);
    socket.async_connect(place_of(debug), [&](auto refused) {
        if (refused) return;
        if (through) {
            socket.native_non_blocking(true);
            answer = through(socket.native_handle(), request, until);
            return;
        }
        asio::async_write(socket, asio::buffer(request), [&](auto failed, std::size_t) {
            if (failed) return;
            asio::async_read(socket, asio::dynamic_buffer(answer, 4096), [](auto, std::size_t) {});
        });
    });
    io.run_until(until);
    return answer.starts_with("HTTP/1.1 200 ");
}
