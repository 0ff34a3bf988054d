#include "configs/values.hpp"

#include <gmock/gmock.h>

#include "configs/toml.hpp"

namespace configs {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using testing::ElementsAre;

TEST(Values, DurationsHaveAUnit) {
    EXPECT_EQ(parse_duration("250ms"), 250ms);
    EXPECT_EQ(parse_duration("5s"), 5s);
    EXPECT_EQ(parse_duration("2m"), 2min);
    EXPECT_EQ(parse_duration("1h"), 1h);
    EXPECT_EQ(parse_duration("0s"), 0s);
}

TEST(Values, OnlyZeroNeedsNoUnit) {
    EXPECT_EQ(parse_duration("0"), 0ms);
    for (const auto* text : {"5", "00", "", "s", "ms"}) EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(Values, WhatIsNotADurationIsNotGuessed) {
    for (const auto* text : {"5 s", " 5s", "5s ", "-5s", "+5s", "1.5s", "5S", "5sec", "1m30s", "0x5s", "5us",
                             "99999999999999999999s", "9223372036854775807s", "18446744073709551615ms"})
        EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(Values, DurationsAreWrittenInTheLargestUnitThatLosesNothing) {
    EXPECT_EQ(format_duration(0ms), "0s");
    EXPECT_EQ(format_duration(1500ms), "1500ms");
    EXPECT_EQ(format_duration(75s), "75s");
    EXPECT_EQ(format_duration(120s), "2m");
    EXPECT_EQ(format_duration(24h), "24h");
}

TEST(Values, SizesHaveABinaryUnitOrAreBytes) {
    EXPECT_EQ(parse_size("512B"), 512U);
    EXPECT_EQ(parse_size("512"), 512U);
    EXPECT_EQ(parse_size("16KiB"), 16'384U);
    EXPECT_EQ(parse_size("1MiB"), 1'048'576U);
    EXPECT_EQ(parse_size("2GiB"), 2'147'483'648U);
    for (const auto* text : {"", "B", "16KB", "16kib", "16K", "1.5MiB", "-1B", "1 MiB", "9223372036854775807KiB"})
        EXPECT_FALSE(parse_size(text)) << text;
}

TEST(Values, SizesAreWrittenInTheLargestUnitThatLosesNothing) {
    EXPECT_EQ(format_size(0), "0B");
    EXPECT_EQ(format_size(1'000), "1000B");
    EXPECT_EQ(format_size(16'384), "16KiB");
    EXPECT_EQ(format_size(1'048'576), "1MiB");
}

TEST(Values, NumbersAreDecimalDigits) {
    EXPECT_EQ(parse_number("18446744073709551615"), 18'446'744'073'709'551'615U);
    for (const auto* text : {"", "-1", "+1", " 1", "1 ", "0x10", "1e3", "1.0", "1'000", "18446744073709551616"})
        EXPECT_FALSE(parse_number(text)) << text;
}

TEST(Values, AddressesAreLiterals) {
    for (const auto* text : {"0.0.0.0", "127.0.0.1", "::", "::1", "2001:db8::1", "::ffff:10.0.0.1"})
        EXPECT_TRUE(is_address(text)) << text;
    for (const auto* text : {"", "localhost", "127.1", "127.0.0.1:80", "[::1]", "fe80::1%eth0", "256.0.0.1"})
        EXPECT_FALSE(is_address(text)) << text;
    EXPECT_FALSE(is_address("::1\0"s));
}

TEST(Values, TextIsUtf8WithoutControlCharacters) {
    for (const auto* text : {"", "var/events", "größe", "日本", "\U0001F319", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF"})
        EXPECT_TRUE(is_text(text)) << text;
    const std::vector<std::string> others = {"a\nb",
                                             "\t",
                                             "\x7F",
                                             "\0"s,  // control
                                             "\xFF",
                                             "\x80",
                                             "\xC3",
                                             "a\xE2\x82",  // stray, cut off
                                             "\xC0\x80",
                                             "\xE0\x80\x80",
                                             "\xF0\x80\x80\x80",  // overlong
                                             "\xED\xA0\x80",
                                             "\xF4\x90\x80\x80",
                                             "\xF8\x88\x80\x80"};  // no such
    for (const auto& text : others) EXPECT_FALSE(is_text(text)) << in_quotes(text);
}

TEST(Values, HostNamesHaveNoPort) {
    for (const auto* text : {"localhost", "a.b-c.example", "x_1"}) EXPECT_TRUE(is_host_name(text)) << text;
    for (const auto* text : {"", "a:80", "a b", "http://a", "*"}) EXPECT_FALSE(is_host_name(text)) << text;
    EXPECT_FALSE(is_host_name(std::string(254, 'a')));
}

TEST(Values, ListsAreWhatIsBetweenCommas) {
    EXPECT_THAT(split_list(""), ElementsAre());
    EXPECT_THAT(split_list("a"), ElementsAre("a"));
    EXPECT_THAT(split_list("a,b"), ElementsAre("a", "b"));
    EXPECT_THAT(split_list("a,,"), ElementsAre("a", "", ""));
}

TEST(Values, QuotedTextComesBackFromToml) {
    for (const auto& text : {""s, "plain"s, "a \"b\" \\c"s, "one\ntwo\x01\x7F"s, "größe"s}) {
        const auto parsed = toml::parse("x = " + in_quotes(text));
        EXPECT_EQ(parsed["x"].value<std::string>(), text);
    }
}

TEST(Values, QuotedTextIsOneLineOfText) {
    for (const auto& text : {"a\r\nb"s, "\xFF\xFE"s, "\0"s, "\x1B[31m"s}) EXPECT_TRUE(is_text(in_quotes(text)));
}

TEST(Values, TheNearestHasTheSmallestEditDistance) {
    const std::vector<std::string> keys = {"app.port", "app.threads", "debug.port", "log.level"};
    EXPECT_EQ(nearest("app.prot", keys), "app.port");
    EXPECT_EQ(nearest("app.thread", keys), "app.threads");
    EXPECT_EQ(nearest("loglevel", keys), "log.level");
    EXPECT_EQ(nearest("", keys), "app.port");
    EXPECT_EQ(nearest("x", {}), "");
}

}  // namespace
}  // namespace configs
