// What a request allocates once its connection and its loop are warm.
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/hot_path/counted_allocations.hpp"
#include "tests/server/serving.hpp"

namespace {

using namespace serving;

constexpr int rounds = 5;
constexpr int requests = 200;

router counting() {
    router routes;
    routes.get("/", says("Hello, QCon!\n"));
    routes.post("/echo", echo());
    routes.get("/allocations", [](lifecycle::context, const request&) -> reply {
        co_return response(http::status::ok, std::to_string(hot_path::allocations_of_this_thread()));
    });
    return routes;
}

std::uint64_t counted(support::client& client) { return std::stoull(ask_on(client, get("/allocations")).body); }

/// The least that `times` times `bytes`, each with `answers` answers, has allocated on the loop's thread in a round:
/// the tick, which shares that thread, may do so now and then.
std::uint64_t least_allocated(const running& server, const std::string& bytes, int answers, int times = requests) {
    auto client = server.connect();
    std::uint64_t least = UINT64_MAX;
    for (int round = 0; round <= rounds; ++round) {
        counted(client);
        const auto between = counted(client);
        const auto before = counted(client);
        for (int nth = 0; nth < times; ++nth) {
            client.send(bytes);
            for (int answer = 0; answer < answers; ++answer) EXPECT_EQ(answer_of(client).status, 200);
        }
        const auto after = counted(client);
        if (round > 0) least = std::min(least, after - before - (before - between));  // the first one warms
    }
    return least;
}

TEST(HotPath, AllocatesNothingForARequestOnAWarmConnection) {
    const running server(counting());
    EXPECT_EQ(least_allocated(server, get("/"), 1), 0U);
}

TEST(HotPath, AllocatesNothingForPipelinedRequests) {
    const running server(counting());
    std::string sixteen;
    for (int nth = 0; nth < 16; ++nth) sixteen += get("/");
    EXPECT_EQ(least_allocated(server, sixteen, 16, 20), 0U);
}

TEST(HotPath, AllocatesNothingForTheFieldsOfABrowser) {
    const running server(counting());
    const std::string fields =
        "User-Agent: Mozilla/5.0\r\nAccept: text/html,*/*;q=0.8\r\nAccept-Language: en\r\n"
        "Accept-Encoding: gzip, br\r\nReferer: http://a/\r\nCookie: a=b\r\nPriority: u=0\r\n";
    EXPECT_EQ(least_allocated(server, get("/", fields), 1), 0U);
}

TEST(HotPath, AllocatesTheEchoedBodyOnceForAPostOfAKilobyte) {
    const running server(counting());
    EXPECT_EQ(least_allocated(server, support::request("POST", "/echo", {}, std::string(1024, 'x')), 1),
              std::uint64_t{requests});
}

}  // namespace
