#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <utility>

#include "lifecycle/task_group.hpp"

namespace fakes {

/// A loop on the test's own thread. What a coroutine throws comes out of `run` and `turn`.
struct loop {
    void start(lifecycle::awaitable<> work) {
        boost::asio::co_spawn(io, std::move(work), [](const std::exception_ptr& error) {
            if (error) std::rethrow_exception(error);
        });
    }
    void run() {
        io.restart();
        io.run();
    }
    /// What is ready to run, and nothing that waits.
    void turn() {
        io.restart();
        io.poll();
    }
    boost::asio::io_context io{1};
};

}  // namespace fakes
