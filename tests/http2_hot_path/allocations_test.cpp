// What a request in HTTP/2 allocates once its connection and its loop are warm: nothing, nghttp2's blocks included.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "server/http2/session.hpp"
#include "tests/hot_path/counted_allocations.hpp"
#include "tests/http2_service/client.hpp"
#include "tests/server/serving.hpp"

namespace {

thread_local std::uint64_t mallocs = 0;

}  // namespace

extern "C" void* __real_malloc(std::size_t size);
extern "C" void* __wrap_malloc(std::size_t size) {
    ++mallocs;
    return __real_malloc(size);
}

namespace {

using namespace serving;
using http2_tests::connected_peer;

constexpr int rounds = 5;
constexpr int requests = 200;

router counting() {
    const auto plain = [](const lifecycle::context&, const request&) {
        return response(http::status::ok, "Hello, QCon!\n");
    };
    router routes;
    routes.get("/", plain).get("/waits", says("Hello, QCon!\n"));
    routes.get("/allocations", [](lifecycle::context, const request&) -> reply {
        co_return response(http::status::ok, std::to_string(hot_path::allocations_of_this_thread() + mallocs));
    });
    return routes;
}

std::uint64_t counted(connected_peer& client) {
    const auto id = client.get("/allocations");
    EXPECT_TRUE(client.answered(id));
    return std::stoull(client.answers[id].body);
}

/// The least that so many requests, of which `streams` are under way at a time, have allocated on the loop's thread in
/// a round: the tick, which shares that thread, may do so now and then.
std::uint64_t least_allocated(std::string_view path, int streams) {
    const running server(counting(), one_loop(), [](server::http_server& made) {
        made.speak_http2(std::make_shared<server::http2::source>());
    });
    connected_peer client(support::endpoint(server.server().address()));
    std::uint64_t least = UINT64_MAX;
    for (int round = 0; round <= rounds; ++round) {
        counted(client);
        const auto between = counted(client);
        const auto before = counted(client);
        for (int nth = 0; nth < requests; nth += streams) {
            std::int32_t last = 0;
            for (int stream = 0; stream < streams; ++stream) last = client.get(path);
            EXPECT_TRUE(client.answered(last));
        }
        const auto after = counted(client);
        if (round > 0) least = std::min(least, after - before - (before - between));  // the first one warms
    }
    return least;
}

TEST(Http2HotPath, AllocatesNothingForARequestOnAWarmConnection) {
    EXPECT_EQ(least_allocated("/", 1), 0U);
    EXPECT_EQ(least_allocated("/waits", 1), 0U);
}

TEST(Http2HotPath, AllocatesNothingForRequestsAtTheSameTime) {
    EXPECT_EQ(least_allocated("/", 10), 0U);
    EXPECT_EQ(least_allocated("/", 100), 0U);
}

}  // namespace
