#pragma once

#include <gtest/gtest.h>
#include <spdlog/logger.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <optional>
#include <string>

#include "server/client/connection_pool.hpp"
#include "server/client/http_client.hpp"
#include "tests/support/scripted_upstream.hpp"

/// A loop of its own on which a client calls a scripted upstream.
struct Calling : testing::Test {
    using answer = boost::system::result<server::client_response>;
    using then = support::scripted_upstream::reply::then;

    ~Calling() override {
        stop.request("test");  // now nothing is kept, or the loop would not run out of work
        io.restart();
        io.run_for(std::chrono::seconds(10));
        EXPECT_TRUE(io.stopped()) << "something of the client is left on the loop";
        EXPECT_EQ(server::connection_pool::of(io.get_executor()).kept(), 0U);
    }

    server::http_client& client() {
        if (!client_) {
            options.allow = up.origin() + more_allowed;
            client_ = std::make_unique<server::http_client>(options, stop, workers, log);
        }
        return *client_;
    }
    /// What the options say from here on.
    void http_client_made_anew() { client_.reset(); }
    server::client_request request(std::string_view path) { return {.to = client().find(up.url(path)).value()}; }

    /// A call that goes on while the loop is run.
    struct call {
        std::optional<answer> got;
        std::exception_ptr thrown;
    };
    std::shared_ptr<call> begin(server::client_request asked, lifecycle::context context = {}) {
        auto mine = std::make_shared<call>();
        boost::asio::co_spawn(io.get_executor(), client().send(std::move(context), std::move(asked)),
                              [mine](std::exception_ptr error, answer got) {
                                  mine->thrown = std::move(error);
                                  mine->got = std::move(got);
                              });
        return mine;
    }
    template <class Condition>
    bool run_until(Condition condition) {
        io.restart();
        const auto limit = support::clock::now() + std::chrono::seconds(10);
        while (!condition() && support::clock::now() < limit) {
            io.run_one_for(std::chrono::milliseconds(5));
            io.restart();
        }
        return condition();
    }
    answer finish(const std::shared_ptr<call>& call) {
        EXPECT_TRUE(run_until([&] { return call->got.has_value(); })) << "no answer in time";
        if (call->thrown) std::rethrow_exception(call->thrown);
        return *call->got;
    }
    answer ask(server::client_request asked, lifecycle::context context = {}) {
        return finish(begin(std::move(asked), std::move(context)));
    }
    answer ask(std::string_view path, lifecycle::context context = {}) {
        return ask(request(path), std::move(context));
    }
    static lifecycle::context within(std::chrono::milliseconds time) {
        return lifecycle::context().with_deadline(lifecycle::clock::now() + time);
    }
    std::size_t kept() { return server::connection_pool::of(io.get_executor()).kept(); }

    server::client_options options;
    std::string more_allowed;
    support::scripted_upstream::script play = support::scripted_upstream::by_path;
    support::scripted_upstream up{[this](const auto& asked, std::size_t nth) { return play(asked, nth); }};
    spdlog::logger log{"test"};
    lifecycle::workers workers;
    lifecycle::stop_channel stop{lifecycle::shutdown_options{}};
    boost::asio::io_context io{1};

private:
    std::unique_ptr<server::http_client> client_;
};
