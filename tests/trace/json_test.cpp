#include "cmd/service/trace/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>

namespace trace {
namespace {

using lifecycle::clock;
using std::chrono::milliseconds;
using testing::ElementsAre;

clock::time_point at(int ms) { return clock::time_point(milliseconds(ms)); }

record seen(record::kind what, const void* of, int since, int until) {
    record record{};
    record.what = what;
    record.of = of;
    record.status = 200;
    record.since = at(since);
    record.until = at(until);
    record.name = "GET /slow";
    record.detail = "/slow?ms=\"5\\";
    record.context = "0af7651916cd43dd8448eb211c80319c";
    return record;
}

/// "b GET /slow 10": each event, with its id where it has one.
std::vector<std::string> events_of(const boost::json::value& trace) {
    std::vector<std::string> all;
    for (const auto& event : trace.at("traceEvents").as_array()) {
        for (const char* key : {"ph", "ts", "pid", "tid", "name", "cat"}) EXPECT_TRUE(event.as_object().contains(key));
        auto line = std::string(event.at("ph").as_string()) + ' ' + std::string(event.at("name").as_string()) + ' ' +
                    std::to_string(std::lround(event.at("ts").to_number<double>() / 1'000));
        if (const auto* const id = event.as_object().if_contains("id")) line += ' ' + std::string(id->as_string());
        all.push_back(line);
    }
    return all;
}

TEST(TraceJson, PutsAHandlerIntoItsRequest) {
    const int loop = 0, other = 0;
    json made;
    made.add(7, std::vector{seen(record::kind::handler, &loop, 10, 20), seen(record::kind::handler, &other, 5, 21),
                            seen(record::kind::request, &loop, 20, 30), seen(record::kind::request, &other, 5, 22)});
    const auto trace = boost::json::parse(made.take(0));
    EXPECT_THAT(events_of(trace),
                ElementsAre("b GET /slow 10 0x1", "b handler 10 0x1", "e handler 20 0x1", "e GET /slow 30 0x1",
                            "b GET /slow 5 0x2", "b handler 5 0x2", "e handler 21 0x2", "e GET /slow 22 0x2"));
    const auto& events = trace.at("traceEvents").as_array();
    EXPECT_EQ(events[0].at("args").at("target"), "/slow?ms=\"5\\");
    EXPECT_EQ(events[0].at("args").at("trace_id"), "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(events[3].at("args").at("status"), "200");
    EXPECT_EQ(events[0].at("tid"), 7);
}

TEST(TraceJson, AMomentIsAnInstantOfTheProcess) {
    json made;
    made.add(
        moment{.thread = 7, .category = "step", .name = "began", .when = at(10), .arguments = {{"cause", "debug"}}});
    const auto trace = boost::json::parse(made.take(0));
    EXPECT_THAT(events_of(trace), ElementsAre("i began 10"));
    const auto& event = trace.at("traceEvents").at(0);
    EXPECT_EQ(event.at("s"), "p");
    EXPECT_EQ(event.at("args").at("cause"), "debug");
}

TEST(TraceJson, EndsWhatHasNoAnswerOfItsOwnWithItsHandler) {
    const int loop = 0;
    json made;
    made.add(7, std::vector{seen(record::kind::handler, &loop, 10, 20), seen(record::kind::handler, &loop, 30, 40)});
    EXPECT_THAT(events_of(boost::json::parse(made.take(0))),
                ElementsAre("b GET /slow 10 0x1", "b handler 10 0x1", "e handler 20 0x1", "e GET /slow 20 0x1",
                            "b GET /slow 30 0x2", "b handler 30 0x2", "e handler 40 0x2", "e GET /slow 40 0x2"));
}

TEST(TraceJson, ShowsAnAnswerThatNoHandlerHasGiven) {
    const int loop = 0;
    json made;
    made.add(7, std::vector{seen(record::kind::request, &loop, 10, 20)});
    EXPECT_THAT(events_of(boost::json::parse(made.take(0))), ElementsAre("b GET /slow 10 0x1", "e GET /slow 20 0x1"));
}

TEST(TraceJson, NamesThreadsDeliveriesAndSlicesAndWhatWasLost) {
    json made;
    made.name_thread(7, "tracker-\"file\"");
    auto batch = seen(record::kind::batch, nullptr, 10, 20);
    batch.name = "file";
    batch.detail = "no space left";
    batch.events = 128;
    made.add(7, std::vector{batch});
    made.add(slice{8, "stop", "lame_duck", at(30), at(35), {{"allowed_ms", "5"}}});
    const auto trace = boost::json::parse(made.take(3));
    EXPECT_THAT(events_of(trace), ElementsAre("M thread_name 0", "X deliver to file 10", "X lame_duck 30"));
    const auto& events = trace.at("traceEvents").as_array();
    EXPECT_EQ(events[0].at("args").at("name"), "tracker-\"file\"");
    EXPECT_EQ(events[1].at("args").at("events"), "128");
    EXPECT_EQ(events[1].at("args").at("outcome"), "no space left");
    EXPECT_EQ(events[2].at("dur").to_number<double>(), 5'000);
    EXPECT_EQ(trace.at("otherData").at("events_lost"), "3");
}

TEST(TraceJson, OfNothingIsATraceToo) { EXPECT_THAT(events_of(boost::json::parse(json().take(0))), ElementsAre()); }

}  // namespace
}  // namespace trace
