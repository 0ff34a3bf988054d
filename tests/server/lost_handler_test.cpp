// A handler whose coroutine is destroyed while it waits, for lack of memory for instance.

#include <gtest/gtest.h>

#include <boost/asio/this_coro.hpp>

#include "tests/lifecycle/dropped.hpp"
#include "tests/server/serving.hpp"

namespace {

using namespace serving;

reply lost(lifecycle::context, const request&) {
    const auto on = co_await boost::asio::this_coro::executor;
    auto waiting = fakes::dropped(on);
    co_await std::move(waiting);
    co_return response(http::status::ok, "not lost");
}

struct LostHandler : testing::Test {
    LostHandler() {
        routes.get("/lost", lost);
        routes.get("/", says("Hello, QCon!\n"));
    }
    router routes;
};

TEST_F(LostHandler, IsAnswered500AndItsConnectionServesOn) {
    running server(routes);
    auto client = server.connect();
    client.send(get("/lost") + get("/") + get("/lost") + get("/"));
    for (const int status : {500, 200, 500, 200}) EXPECT_EQ(answer_of(client).status, status);
}

TEST_F(LostHandler, HoldsUpNoStop) {
    running server(routes);
    EXPECT_EQ(server.ask(get("/lost")).status, 500);
    server.stop();
    server::stop_account account;
    server.server().account(account);
    EXPECT_EQ(account.requests.cut, 0U);
    EXPECT_TRUE(account.stragglers.empty());
}

}  // namespace
