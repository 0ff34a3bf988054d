// Other limits while the server runs: what has begun keeps its own.

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <vector>

#include "tests/server/serving.hpp"

namespace {

using namespace serving;

std::string post_of(std::size_t bytes) {
    return "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n" +
           std::string(bytes, 'x');
}

server::options with_body_limit(std::size_t bytes, std::size_t threads = 1) {
    auto options = one_loop();
    options.threads = threads;
    options.max_body_bytes = bytes;
    return options;
}

router echoes() {
    router routes;
    routes.post("/echo", echo());
    return routes;
}

TEST(Reload, ANewRequestOnAnOldConnectionIsUnderTheNewLimits) {
    running service(echoes(), with_body_limit(100));
    auto client = service.connect();
    EXPECT_EQ(ask_on(client, post_of(100)).status, 200);
    service.server().apply(with_body_limit(10));
    EXPECT_EQ(ask_on(client, post_of(100)).status, 413);
}

TEST(Reload, WhatHasBegunIsFinishedUnderTheOldLimits) {
    running service(echoes(), with_body_limit(100));
    auto client = service.connect();
    const auto head = "POST /echo HTTP/1.1\r\nHost: a\r\nX: " + std::string(400, 'x');
    const auto rest = "\r\nContent-Length: 50\r\n\r\n" + std::string(50, 'x');
    EXPECT_EQ(ask_on(client, post_of(1)).status, 200);
    ASSERT_TRUE(eventually([&] { return service.server().now().idle == 1; }));
    client.send(head);
    ASSERT_TRUE(eventually([&] { return service.server().now().idle == 0; })) << "it has begun";
    auto stricter = with_body_limit(10);
    stricter.max_header_bytes = 256;
    service.server().apply(stricter);
    EXPECT_EQ(service.ask(post_of(11)).status, 413) << "new work sees them";
    EXPECT_EQ(ask_on(client, rest).status, 200);
    EXPECT_EQ(ask_on(client, head + rest).status, 431);
}

TEST(Reload, MaxInFlightAndMaxConnectionsFollow) {
    gate held;
    router routes;
    routes.get("/wait", waits_at(held));
    running service(std::move(routes));
    auto first = service.connect();
    first.send(get("/wait"));
    ASSERT_TRUE(eventually([&] { return held.entered(); }));
    auto options = one_loop();
    options.max_in_flight = 1;
    service.server().apply(options);
    EXPECT_EQ(service.ask(get("/wait")).status, 503);
    options.max_in_flight = 2;
    service.server().apply(options);
    auto second = service.connect();
    second.send(get("/wait"));
    EXPECT_TRUE(eventually([&] { return held.entries() == 2; }));
    options.max_connections = 3;
    service.server().apply(options);
    auto idle = service.connect();
    auto last = service.connect();  // the third place is the idle one's: it makes room
    last.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(answer_of(last).status, 404);
    EXPECT_FALSE(idle.receive());
    held.open();
    EXPECT_EQ(answer_of(first).status, 200);
    EXPECT_EQ(answer_of(second).status, 200);
}

/// A thousand a second under full load: each request is under one snapshot or the other. For ThreadSanitizer too.
TEST(Reload, AThousandTimesASecondUnderLoadEachRequestHasOneSetOfLimits) {
    constexpr int clients = 4;
    constexpr int requests = 2'000;
    running service(echoes(), with_body_limit(100, 2));
    std::mutex mutex;
    std::condition_variable ended;
    int left = clients;
    std::atomic<int> wrong{0};
    std::vector<std::jthread> load;
    for (int nth = 0; nth < clients; ++nth)
        load.emplace_back([&] {
            auto client = service.connect();
            for (int i = 0; i < requests; ++i) {
                const auto status = ask_on(client, post_of(50)).status;
                if (status != 200 && status != 413) ++wrong;
                if (status != 200) client = service.connect();  // a refusal closes
            }
            const std::scoped_lock lock(mutex);
            --left;
            ended.notify_one();
        });
    std::unique_lock lock(mutex);
    int reloads = 0;
    for (; left > 0 && reloads < 100'000; ++reloads) {
        service.server().apply(with_body_limit(reloads % 2 == 0 ? 10 : 100, 2));
        ended.wait_for(lock, 1ms, [&] { return left == 0; });
    }
    EXPECT_EQ(left, 0);
    EXPECT_GT(reloads, 10);
    EXPECT_EQ(wrong, 0);
}

}  // namespace
