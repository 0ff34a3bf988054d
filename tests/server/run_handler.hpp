#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <memory>
#include <utility>

#include "server/router.hpp"

/// What a handler answers, on a loop of its own; what it throws is thrown here.
inline server::response run_handler(const server::handler& handle, const server::request& request) {
    boost::asio::io_context loop(1);
    std::exception_ptr thrown;
    server::response answer;
    boost::asio::co_spawn(loop.get_executor(), handle(lifecycle::context(), request),
                          [&](std::exception_ptr error, server::response made) {
                              thrown = std::move(error);
                              answer = std::move(made);
                          });
    loop.run();
    if (thrown) std::rethrow_exception(thrown);
    return answer;
}
