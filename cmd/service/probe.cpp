#include "cmd/service/probe.hpp"

#include <fmt/format.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <string>

namespace asio = boost::asio;
using asio::ip::tcp;

bool probe(const server::options& debug, std::string_view what) {
    const auto address = asio::ip::make_address(debug.address);  // Linux takes an unspecified one for the loopback's
    const auto request = fmt::format("GET /{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", what);
    std::string answer;
    asio::io_context io(1);
    tcp::socket socket(io);
    socket.async_connect({address, debug.port}, [&](auto refused) {
        if (refused) return;
        asio::async_write(socket, asio::buffer(request), [&](auto failed, std::size_t) {
            if (failed) return;
            asio::async_read(socket, asio::dynamic_buffer(answer, 4096), [](auto, std::size_t) {});
        });
    });
    io.run_for(std::chrono::milliseconds(900));
    return answer.starts_with("HTTP/1.1 200 ");
}
