#include "tracker/event_headers.hpp"

#include <gtest/gtest.h>

#include "tests/tracker/fakes.hpp"
#include "tests/tracker/spool_fakes.hpp"
#include "tracker/cloud_event.hpp"
#include "tracker/intake.hpp"

namespace {

using namespace std::chrono_literals;
using tracker::binding;
using tracker::event_headers;
using pairs = std::vector<std::pair<std::string, std::string>>;

pairs all_of(const event_headers& headers) {
    pairs all;
    headers.each([&](std::string_view name, std::string_view value) { all.emplace_back(name, value); });
    return all;
}

TEST(EventHeaders, AreFoundByTheirNamesAndKeepTheirOrder) {
    event_headers headers;
    EXPECT_TRUE(headers.empty());
    EXPECT_EQ(headers.bytes(), 0U);
    EXPECT_TRUE(headers.set("datacontenttype", "text/plain"));
    EXPECT_TRUE(headers.set("x1", "ü b"));
    EXPECT_TRUE(headers.set("datacontenttype", "application/json"));
    EXPECT_EQ(headers.find("datacontenttype"), "application/json");
    EXPECT_EQ(headers.find("x"), "");
    EXPECT_EQ(all_of(headers), (pairs{{"x1", "ü b"}, {"datacontenttype", "application/json"}}));
    const auto copy = headers;
    headers.erase("x1");
    EXPECT_EQ(all_of(headers), (pairs{{"datacontenttype", "application/json"}}));
    headers.erase("datacontenttype");
    EXPECT_TRUE(headers.empty());
    EXPECT_EQ(copy.find("x1"), "ü b") << "a copy is another one";
}

TEST(EventHeaders, TakeNothingThatCouldEndALineOrIsTheEventsOwn) {
    event_headers headers;
    for (const auto* name :
         {"", "id", "time", "specversion", "data", "Type", "ce-type", "a b", "a\r\n", "abcdefghijklmnopqrstu"})
        EXPECT_FALSE(headers.set(name, "x")) << name;
    for (const auto& value : {std::string(), std::string("a\r\nb"), std::string("a\0b", 3), std::string("\x7f"),
                              std::string("\xff"), std::string("\t")})
        EXPECT_FALSE(headers.set("x", value)) << value;
    EXPECT_TRUE(headers.empty());
}

TEST(EventHeaders, AreBoundedInBytesAllTogether) {
    event_headers headers;
    EXPECT_TRUE(headers.set("a", std::string(5'000, 'x')));
    EXPECT_FALSE(headers.set("b", std::string(5'000, 'x')));
    EXPECT_TRUE(headers.set("a", std::string(event_headers::most_bytes - 4, 'y'))) << "in place of the first";
    EXPECT_EQ(headers.bytes(), event_headers::most_bytes);
    EXPECT_FALSE(headers.set("a", std::string(event_headers::most_bytes - 3, 'y')));
    EXPECT_EQ(headers.find("a").front(), 'y') << "a refusal changes nothing";
}

TEST(EventHeaders, AreReadBackFromTheirBytesAndFromNoOthers) {
    event_headers headers;
    headers.set("x", std::string(300, 'v'));
    headers.set("y", "w");
    const std::string bytes(headers.encoded());
    const auto read = event_headers::decode(bytes);
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, headers);
    const std::size_t first = 3 + 1 + 300;
    for (std::size_t length = 1; length < bytes.size(); ++length) {
        const bool whole = length == first;
        EXPECT_EQ(event_headers::decode(bytes.substr(0, length)).has_value(), whole) << length;
    }
    EXPECT_FALSE(event_headers::decode(bytes + bytes)) << "twice the same name";
    EXPECT_FALSE(event_headers::decode(std::string("\x01\x01\x00X1", 5)));
    EXPECT_FALSE(event_headers::decode(std::string("\x01\x01\x00x\n", 5)));
}

TEST(EventHeaders, CostAnEventWithoutThemAPointerAndItsLineNothing) {
    EXPECT_EQ(sizeof(event_headers), sizeof(void*));
    auto event = fakes::make_event("d", "a");
    event.time = std::chrono::system_clock::time_point(0us);
    std::string line;
    append_json(line, event);
    EXPECT_EQ(line, R"({"id":"a","time":"1970-01-01T00:00:00.000000Z","data":"d"})");
    event = fakes::with_headers(event, {{"x", "a\"b"}, {"y", "2"}});
    line.clear();
    append_json(line, event);
    EXPECT_EQ(line, R"({"id":"a","time":"1970-01-01T00:00:00.000000Z","data":"d","headers":{"x":"a\"b","y":"2"}})");
}

TEST(EventHeaders, CountInTheBudgetOfTheQueue) {
    tracker::options options;
    options.queue_bytes = 1'000;
    options.overflow = tracker::overflow::reject;
    tracker::intake queue(options);
    auto first = fakes::with_headers(fakes::make_event("x", "a"), {{"x", std::string(900, 'x')}});
    EXPECT_EQ(queue.try_push(first), tracker::verdict::accepted);
    auto second = fakes::make_event(std::string(100, 'x'), "b");
    EXPECT_EQ(queue.try_push(second), tracker::verdict::full);
    auto third = fakes::make_event("x", "c");
    EXPECT_EQ(queue.try_push(third), tracker::verdict::accepted);
}

struct CloudEvent : testing::Test {
    CloudEvent() {
        event.time = std::chrono::system_clock::time_point(1'700'000'000'000'000us);
        event = fakes::with_headers(
            event,
            {{"datacontenttype", "text/plain; charset=utf-8"}, {"subject", "50 % \"ü\""}, {"partitionkey", "k"}});
    }
    tracker::event event = fakes::make_event("data", "a1");
    tracker::cloud_event_options options{.on = true, .source = "/shop", .type = "event"};
};

TEST_F(CloudEvent, OfHttpHasTheContentTypeInItsOwnFieldAndTheRestEscaped) {
    EXPECT_EQ(cloud_event(event, options, binding::http), (pairs{{"ce-specversion", "1.0"},
                                                                 {"ce-id", "a1"},
                                                                 {"ce-source", "/shop"},
                                                                 {"ce-type", "event"},
                                                                 {"ce-time", "2023-11-14T22:13:20.000000Z"},
                                                                 {"Content-Type", "text/plain; charset=utf-8"},
                                                                 {"ce-subject", "50%20%25%20%22%C3%BC%22"},
                                                                 {"ce-partitionkey", "k"}}));
}

TEST_F(CloudEvent, OfNatsHasTheContentTypeAmongTheOthers) {
    const auto all = cloud_event(event, options, binding::nats);
    EXPECT_EQ(all.at(5), std::pair(std::string("ce-datacontenttype"), std::string("text/plain;%20charset=utf-8")));
    EXPECT_EQ(all.at(6).second, "50%20%25%20%22%C3%BC%22");
}

TEST_F(CloudEvent, OfKafkaHasNamesAndValuesOfItsOwn) {
    const auto all = cloud_event(event, options, binding::kafka);
    EXPECT_EQ(all.at(0), std::pair(std::string("ce_specversion"), std::string("1.0")));
    EXPECT_EQ(all.at(5), std::pair(std::string("content-type"), std::string("text/plain; charset=utf-8")));
    EXPECT_EQ(all.at(6), std::pair(std::string("ce_subject"), std::string("50 % \"ü\"")));
}

TEST_F(CloudEvent, ThatSaysItsOwnTypeAndSourceHasThemOnce) {
    event.headers.set("type", "org.example.sold");
    event.headers.set("source", "/till/7");
    const auto all = cloud_event(event, options, binding::kafka);
    EXPECT_EQ(std::ranges::count(all, "ce_type", [](const auto& each) { return each.first; }), 1);
    EXPECT_EQ(std::ranges::count(all, "ce_source", [](const auto& each) { return each.first; }), 1);
    EXPECT_EQ(std::ranges::count(all, "org.example.sold", [](const auto& each) { return each.second; }), 1);
}

}  // namespace
