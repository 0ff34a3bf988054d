// Stops under load: no request and no event is lost, again and again.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <csignal>
#include <set>

#include "tests/integration/service.hpp"
#include "tests/support/load.hpp"

namespace integration {
namespace {

/// The ids in `events.jsonl`, each line a whole JSON object.
std::multiset<std::string> delivered_ids(const service& service) {
    std::multiset<std::string> ids;
    const auto lines = service.events();
    for (std::size_t at = 0; at < lines.size();) {
        const auto end = lines.find('\n', at);
        const auto event = boost::json::parse(lines.substr(at, end - at)).as_object();
        ids.insert(std::string(event.at("id").as_string()));
        at = end == std::string::npos ? lines.size() : end + 1;
    }
    return ids;
}

std::string mixed_request(std::uint64_t number) {
    switch (number % 8) {
        case 0: return request("POST", "/events", {}, fmt::format("event {}", number));
        case 1: return get("/slow?ms=5");
        case 2: return request("POST", "/echo", {}, std::string(2'000, 'e'));
        case 3: return get("/big?bytes=200000");
        case 4: return request("POST", "/events", fmt::format("Idempotency-Key: n-{}\r\n", number), "keyed");
        default: return get("/");
    }
}

std::string describe(const support::load::counts& seen) {
    return fmt::format(
        "answered {}, errors {}, told to close {}, refused {}, unused {}, lost fresh {}, reused {}, "
        "truncated {}",
        seen.answered, seen.errors, seen.told_to_close, seen.refused, seen.unused, seen.lost_fresh, seen.lost_reused,
        seen.truncated);
}

void stop_under_load(const std::vector<std::string>& flags) {
    service service(flags);
    std::vector<std::string> accepted;
    support::load load(service.app(),
                       {32, mixed_request, [&](const std::string& sent, const response& answer) {
                            if (answer.status == 201)
                                accepted.emplace_back(boost::json::parse(answer.body).at("id").as_string());
                            EXPECT_LT(answer.status, 400) << sent.substr(0, sent.find('\r'));
                        }});
    ASSERT_TRUE(load.run([&] { return load.seen().answered >= 1'000; }, milliseconds(20'000))) << describe(load.seen());
    ASSERT_EQ(load.seen().refused + load.seen().lost() + load.seen().told_to_close, 0U) << describe(load.seen());

    service.process().signal(SIGTERM);
    EXPECT_TRUE(load.run([&] { return load.alive() == 0 || service.process().ended(); }, milliseconds(15'000)));
    EXPECT_TRUE(load.finish(milliseconds(5'000)));
    ASSERT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(load.seen().lost(), 0U) << describe(load.seen());
    EXPECT_EQ(load.seen().errors, 0U) << describe(load.seen());

    const auto ids = delivered_ids(service);
    for (const auto& id : accepted) ASSERT_EQ(ids.count(id), 1U) << "event " << id << " was accepted and is not there";
    const auto report = service.report();
    EXPECT_EQ(faults(report), "");
    EXPECT_EQ(number(report, "events", "accepted"), static_cast<std::int64_t>(accepted.size()));
    EXPECT_EQ(number(report, "requests", "cut"), 0);
}

TEST(StopUnderLoad, LosesNothingTwentyTimesInARow) {
    for (int i = 0; i < 20 && !testing::Test::HasFailure(); ++i) {
        SCOPED_TRACE(fmt::format("stop {}", i));
        stop_under_load({});
    }
}

TEST(StopUnderLoad, LosesNothingWithALameDuck) {
    for (int i = 0; i < 3 && !testing::Test::HasFailure(); ++i) stop_under_load({"--shutdown.lame_duck=300ms"});
}

TEST(StopUnderLoad, LosesNothingOnOneLoop) {
    for (int i = 0; i < 3 && !testing::Test::HasFailure(); ++i) stop_under_load({"--app.threads=1"});
}

TEST(StopUnderLoad, DropsWhatThePolicyAsksForAndSaysSo) {
    service service({"--tracker.overflow=drop_oldest", "--tracker.queue_capacity=16"});
    std::uint64_t accepted = 0;
    support::load load(service.app(), {16, [](std::uint64_t) { return request("POST", "/events", {}, "x"); },
                                       [&](const auto&, const auto& answer) { accepted += answer.status == 201; }});
    ASSERT_TRUE(load.run([&] { return load.seen().answered >= 2'000; }, milliseconds(20'000)));
    service.process().signal(SIGTERM);
    EXPECT_TRUE(load.run([&] { return load.alive() == 0 || service.process().ended(); }, milliseconds(15'000)));
    EXPECT_TRUE(load.finish(milliseconds(5'000)));
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    const auto report = service.report();
    EXPECT_EQ(faults(report), "");
    EXPECT_EQ(number(report, "events", "accepted"), static_cast<std::int64_t>(accepted));
    EXPECT_EQ(number(report, "events", "delivered"), static_cast<std::int64_t>(delivered_ids(service).size()));
}

}  // namespace
}  // namespace integration
