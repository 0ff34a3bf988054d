// Each allocation of the threads that serve fails once, and then a few in a row: nothing aborts or is deaf, nothing
// that was answered 201 is lost, and the stop ends well.
#include <gmock/gmock.h>

#include <cstdlib>
#include <exception>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <sstream>
#include <system_error>

#include "tests/allocations/failing.hpp"
#include "tests/allocations/house.hpp"

namespace {

using namespace serving;
using failing::house;
using testing::AnyOf;

/// What a client may see of a failure: no answer and a closed connection. True: it was answered.
bool ask_for(support::client& client, const std::string& bytes, int* status = nullptr) {
    client.send(bytes);
    const auto answer = client.receive();
    if (status != nullptr) *status = answer ? answer->status : 0;
    EXPECT_NE(client.ended(), support::client::ending::late) << "nobody answers " << bytes.substr(0, 20);
    return answer.has_value();
}

/// The same each time: what a loop does in a day. The ids of the events that were answered 201.
std::set<std::string> a_day(const running& server) {
    std::set<std::string> created;
    const auto limit = 2s;
    for (int nth = 0; nth < 3; ++nth) {
        const auto id = "event-" + std::to_string(nth);
        auto keeping = server.connect(0, limit);
        auto slow = server.connect(0, limit);
        slow.send(get("/slow"));
        ask_for(keeping, get("/", "X-Request-Id: one\r\n")) && ask_for(keeping, get("/")) &&
            ask_for(keeping, get("/nowhere"));
        auto posting = server.connect(0, limit);
        int status = 0;
        ask_for(posting, support::request("POST", "/events", "Idempotency-Key: " + id + "\r\n", "x"), &status);
        if (status == 201) created.insert(id);
        auto echoing = server.connect(0, limit);
        ask_for(echoing, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2800\r\n" +
                             std::string(10'240, 'y') + "\r\n0\r\n\r\n");
        auto reading = server.connect(4'096, limit);
        ask_for(reading, get("/big"));
        auto refused = server.connect(0, limit);
        ask_for(refused, "GET  / HTTP/1.1\r\n\r\n");
        auto pipelining = server.connect(0, limit);
        pipelining.send(get("/") + get("/slow") + get("/"));
        while (pipelining.receive() && pipelining.ended() == support::client::ending::open) {
            if (++status > 203) break;
        }
        slow.receive();
        EXPECT_NE(slow.ended(), support::client::ending::late);
    }
    return created;
}

/// How many allocations there were; `how_many` fail, from the nth on.
std::uint64_t try_day(std::uint64_t nth, std::uint64_t how_many) {
    house house;
    house.server().ask(get("/"));  // its loop has begun: what fails before is a start that fails
    failing::arm(nth, how_many);
    std::set<std::string> created;
    std::optional<support::client> idle;
    try {
        created = a_day(house.server());
        idle = house.server().connect(0, 2s);  // is there at the drain
        ask_for(*idle, get("/"));
    } catch (const std::system_error& refused) {
        failing::disarm();
        ADD_FAILURE() << refused.what() << ": " << house.faults(created);
        return 0;
    }
    const auto seen = failing::disarm();
    auto client = house.server().connect(0, 2s);
    const auto answer = client.exchange(get("/"));
    EXPECT_TRUE(answer && answer->status == 200) << "deaf";
    EXPECT_EQ(house.faults(created), "");
    EXPECT_TRUE(nth > 0 || created.size() == 3U);
    return seen;
}

/// ALLOCATIONS_STEP=1 for all of them; the usual run takes a sample.
std::uint64_t step() {
    const char* const text = std::getenv("ALLOCATIONS_STEP");
    return text == nullptr ? 17 : std::stoull(text);
}

void sweep(std::uint64_t how_many) {
    const auto all = try_day(0, 0);
    ASSERT_GT(all, 100U);
    for (std::uint64_t nth = 1; nth <= all + all / 4 && !testing::Test::HasFailure(); nth += step()) {
        const testing::ScopedTrace trace(__FILE__, __LINE__, "allocation " + std::to_string(nth));
        try_day(nth, how_many);
    }
}

TEST(Allocations, CostTheirConnectionOrTheirRequestWhenOneFails) { sweep(1); }

TEST(Allocations, CostTheirConnectionsOrTheirRequestsWhenFiveInARowFail) { sweep(5); }

TEST(Allocations, CostNobodyElseWhenThereIsNoMemoryForALongTime) { sweep(100); }

bool is_answered(const server::http_server& server) try {
    support::client client(support::endpoint(server.address()), 2s);
    return client.exchange(get("/")).has_value();
} catch (const std::system_error&) {
    return false;  // nobody listens any more: then the start has ended, and says so
}

/// A server that begins while allocations fail. What came of it: it serves, or it has ended and said so.
std::string try_start(std::uint64_t nth, std::uint64_t how_many) {
    std::ostringstream written;
    spdlog::logger log("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(written));
    lifecycle::workers workers;
    std::string died;
    died.reserve(512);
    std::promise<void> known;  // that it serves, or will not
    std::once_flag once;
    const auto tell = [&] { std::call_once(once, [&] { known.set_value(); }); };
    workers.on_death([&](const std::string& name, const char* why) {
        died.append(name).append(" ").append(why);
        tell();
    });
    lifecycle::shutdown_options at_once;
    at_once.idle_grace = 0ms;
    lifecycle::stop_channel stop(at_once);
    const auto app = stop.add_part("app", lifecycle::serves_clients);
    router routes;
    routes.get("/", says("Hello, QCon!\n"));
    failing::arm(nth, how_many);
    server::http_server server(one_loop(), std::move(routes), app, workers, log);
    std::string outcome;
    {
        const std::jthread part([&](std::stop_token token) {
            try {
                server.run(token, tell);
            } catch (const std::exception& e) {
                died.append(e.what());
                tell();
            }
        });
        known.get_future().wait();
        if (died.empty()) {
            if (!is_answered(server) && !is_answered(server)) outcome = "deaf";  // one allocation costs one connection
        }
    }
    if (!died.empty()) outcome = "ended";
    if (workers.live() > 0) outcome = "left a thread";
    workers.on_death({});
    return outcome.empty() ? "serves" : outcome;
}

TEST(Allocations, OfAStartEndItOrCostAConnection) {
    std::map<std::string, int> outcomes;
    for (std::uint64_t nth = 1; nth < 5'000; nth += step()) {
        const testing::ScopedTrace trace(__FILE__, __LINE__, "allocation " + std::to_string(nth));
        const auto outcome = try_start(nth, 1);
        ++outcomes[outcome];
        ASSERT_THAT(outcome, AnyOf("serves", "ended"));
        if (failing::disarm() < nth) break;
    }
    EXPECT_GT(outcomes["serves"], 0);
    EXPECT_GT(outcomes["ended"], 0);
}

}  // namespace
