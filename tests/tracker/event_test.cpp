#include "tracker/event.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/tracker/fakes.hpp"

namespace {

using namespace std::chrono_literals;

std::string json(std::string data) {
    std::string out;
    tracker::append_json(out,
                         {"id-1", std::chrono::system_clock::time_point(1'700'000'000'123'456us), std::move(data)});
    return out;
}

std::string with_data(const std::string& escaped) {
    return R"({"id":"id-1","time":"2023-11-14T22:13:20.123456Z","data":")" + escaped + "\"}";
}

TEST(EventJson, HasIdTimeInMicrosecondsAndData) {
    EXPECT_EQ(json("hello"), with_data("hello"));
    EXPECT_EQ(json(""), with_data(""));
}

TEST(EventJson, IsAppended) {
    std::string out = "before ";
    tracker::append_json(out, {"a", std::chrono::system_clock::time_point(0us), "b"});
    EXPECT_EQ(out, R"(before {"id":"a","time":"1970-01-01T00:00:00.000000Z","data":"b"})");
}

TEST(EventJson, EscapesWhatJsonMustEscape) {
    EXPECT_EQ(json("a\"b\\c/d"), with_data(R"(a\"b\\c/d)"));
    EXPECT_EQ(json("\n\r\t\b\f\x01\x1f\x7f"), with_data("\\n\\r\\t\\u0008\\u000c\\u0001\\u001f\x7f"));
    EXPECT_EQ(json(std::string("a\0b", 3)), with_data("a\\u0000b"));
}

/// Eight bytes are looked at together.
TEST(EventJson, EscapesEachByteWhereverItStands) {
    constexpr std::size_t most = 20;
    for (int byte = 0; byte < 0x100; ++byte) {
        const std::string alone(1, static_cast<char>(byte));
        const auto whole = json(alone);
        const auto escaped = whole.substr(with_data("").size() - 2, whole.size() - with_data("").size());
        for (std::size_t at = 0; at < most; ++at) {
            const std::string before(at, 'b'), behind(most - at, '~');
            ASSERT_EQ(json(before + alone + behind), with_data(before + escaped + behind)) << byte << " at " << at;
        }
    }
}

TEST(EventJson, KeepsWellFormedUtf8) {
    const std::string text = "\xC3\xA9 \xE2\x82\xAC \xED\x9F\xBF \xEF\xBF\xBD \xF0\x9F\x98\x80 \xF4\x8F\xBF\xBF";
    EXPECT_EQ(json(text), with_data(text));
}

TEST(EventJson, ReplacesWhatIsNotUtf8SoThatTheLineStaysValid) {
    const std::string r = "\xEF\xBF\xBD";
    EXPECT_EQ(json("a\xFFz"), with_data("a" + r + "z"));
    EXPECT_EQ(json("\xC3"), with_data(r));                          // cut off
    EXPECT_EQ(json("\xE2\x82"), with_data(r + r));                  // cut off
    EXPECT_EQ(json("\xC0\xAF"), with_data(r + r));                  // overlong
    EXPECT_EQ(json("\xE0\x80\x80"), with_data(r + r + r));          // overlong
    EXPECT_EQ(json("\xED\xA0\x80"), with_data(r + r + r));          // a surrogate
    EXPECT_EQ(json("\xF4\x90\x80\x80"), with_data(r + r + r + r));  // beyond U+10FFFF
    EXPECT_EQ(json("\xC3\"\n"), with_data(r + "\\\"\\n"));          // does not swallow what follows
}

TEST(EventJson, WritesTimesBefore1970) {
    std::string out;
    tracker::append_json(out, {"a", std::chrono::system_clock::time_point(-1us), ""});
    EXPECT_EQ(out, R"({"id":"a","time":"1969-12-31T23:59:59.999999Z","data":""})");
}

TEST(EventId, IsUniqueAcrossThreads) {
    lifecycle::workers workers;
    std::vector<std::vector<std::string>> made(4);
    {
        std::vector<std::jthread> threads;
        threads.reserve(made.size());
        for (auto& ids : made)
            threads.push_back(workers.start("ids", "worker", [&ids](std::stop_token) {
                for (int i = 0; i < 5'000; ++i) ids.push_back(tracker::make_id());
            }));
    }
    std::set<std::string> all;
    for (const auto& ids : made) all.insert(ids.begin(), ids.end());
    EXPECT_EQ(all.size(), 20'000U);
}

TEST(EventId, Has26CharactersThatAnIdMayHave) {
    const auto id = tracker::make_id();
    EXPECT_EQ(id.size(), 26U);
    EXPECT_EQ(id.find_first_not_of("0123456789ABCDEFGHJKMNPQRSTVWXYZ"), id.npos);
}

/// The milliseconds since 1970 that an id begins with.
std::int64_t milliseconds_of(std::string_view id) {
    std::int64_t time = 0;
    for (const char digit : id.substr(0, 10))
        time = time * 32 + static_cast<std::int64_t>(std::string_view("0123456789ABCDEFGHJKMNPQRSTVWXYZ").find(digit));
    return time;
}

TEST(EventId, BeginsWithItsTimeAsAUlidDoes) {
    const auto now = [] {
        const auto since = std::chrono::system_clock::now().time_since_epoch();
        return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
    };
    for (int nth = 0; nth < 1'000; ++nth) {
        const auto before = now();
        const auto time = milliseconds_of(tracker::make_id());
        ASSERT_GE(time, before);
        ASSERT_LE(time, now());
    }
}

TEST(EventId, IsSortedByTime) {
    const auto first = tracker::make_id();
    const auto began = std::chrono::system_clock::now();
    ASSERT_TRUE(fakes::eventually([&] { return std::chrono::system_clock::now() > began + 2ms; }));
    EXPECT_LT(first, tracker::make_id());
}

}  // namespace
