#pragma once

#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include "lifecycle/stop_channel.hpp"
#include "lifecycle/task_group.hpp"
#include "lifecycle/workers.hpp"
#include "server/http_server.hpp"
#include "tests/support/client.hpp"

namespace serving {

using namespace std::chrono_literals;
using lifecycle::clock;
using server::request;
using server::response;
using server::router;
using support::eventually;
using support::get;
namespace http = server::http;
using reply = lifecycle::awaitable<response>;

/// One loop on a free port of this machine.
inline server::options one_loop() {
    server::options options;
    options.address = "127.0.0.1";
    options.port = 0;
    options.threads = 1;
    return options;
}

/// The next answer; status 0 when none came.
inline support::response answer_of(support::client& client, bool to_head = false) {
    auto answer = client.receive(to_head);
    return answer ? std::move(*answer) : support::response();
}

inline support::response ask_on(support::client& client, std::string_view bytes, bool to_head = false) {
    client.send(bytes);
    return answer_of(client, to_head);
}

/// A server that runs on a thread of its own, from construction to `stop` or destruction, which drain it.
/// What handlers use must outlive it. `before` it runs the server may be told what else to speak.
class running {
public:
    explicit running(router routes, const server::options& options = one_loop(),
                     const std::function<void(server::http_server&)>& before = nullptr)
        : log_("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(written_)),
          stop_(at_once()),
          server_(options, std::move(routes), stop_.add_part("app", lifecycle::serves_clients), workers_, log_) {
        if (before) before(server_);
        std::promise<void> serving;
        thread_ = std::jthread([this, &serving](std::stop_token token) {
            try {
                server_.run(token, [&serving] { serving.set_value(); });
            } catch (...) {
                failure_ = std::current_exception();
            }
        });
        serving.get_future().wait();
    }
    ~running() { stop(); }

    support::client connect(int receive_buffer = 0, support::milliseconds limit = 20s) const {
        return support::client(support::endpoint(server_.address()), limit, receive_buffer);
    }
    /// The answer to one request on a connection of its own.
    support::response ask(std::string_view bytes, bool to_head = false) const {
        auto client = connect();
        return ask_on(client, bytes, to_head);
    }

    /// Responses say close from now on, but nothing is drained yet.
    void begin_stop() { stop_.request("debug"); }
    bool leave_stop() { return stop_.withdraw(); }
    /// Drains and waits for the end of the server.
    void stop() {
        begin_stop();
        thread_.request_stop();
        if (thread_.joinable()) thread_.join();
    }

    server::http_server& server() { return server_; }
    const server::http_server& server() const { return server_; }
    /// What was logged; after `stop` only.
    std::string log() const { return written_.str(); }
    std::exception_ptr failure() const { return failure_; }

private:
    static lifecycle::shutdown_options at_once() {
        lifecycle::shutdown_options options;
        options.idle_grace = 0ms;
        return options;
    }

    std::ostringstream written_;
    spdlog::logger log_;
    lifecycle::workers workers_;
    lifecycle::stop_channel stop_;
    server::http_server server_;
    std::exception_ptr failure_;
    std::jthread thread_;
};

/// What a test holds a handler with.
class gate {
public:
    void open() { open_ = true; }
    bool entered() const { return entered_ > 0; }
    int entries() const { return entered_; }
    lifecycle::cause seen() const { return seen_; }

    /// Until it is open or the context ends.
    lifecycle::awaitable<> wait(lifecycle::context context) {
        ++entered_;
        while (!open_ && !context.done()) {
            auto waiting = lifecycle::sleep_until(context, clock::now() + 2ms);  // lint: a handler waits, not the test
            co_await std::move(waiting);
        }
        seen_ = context.why();
    }

private:
    std::atomic<bool> open_{false};
    std::atomic<int> entered_{0};
    std::atomic<lifecycle::cause> seen_{lifecycle::cause::none};
};

inline server::handler says(std::string text) {
    return [text](lifecycle::context, const request&) -> reply { co_return response(http::status::ok, text); };
}

inline server::handler echo() {
    return [](lifecycle::context, const request& asked) -> reply {
        co_return response(http::status::ok, std::string(asked.body));
    };
}

/// Answers once the gate is open, or its context has ended.
inline server::handler waits_at(gate& held, std::string text = "waited") {
    return [&held, text](lifecycle::context context, const request&) -> reply {
        auto waiting = held.wait(context);
        co_await std::move(waiting);
        co_return response(http::status::ok, text);
    };
}

/// Answers once the gate is open, whatever becomes of its context.
inline server::handler stubborn_at(gate& held) {
    return [&held](lifecycle::context, const request&) -> reply {
        auto waiting = held.wait(lifecycle::context());
        co_await std::move(waiting);
        co_return response(http::status::ok, "late");
    };
}

}  // namespace serving
