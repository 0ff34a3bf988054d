#include "server/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace {

namespace http = server::http;
namespace json = server::json;
using server::request;

struct line {
    std::string article;
    std::uint8_t quantity = 0;

    static constexpr auto json_members =
        json::members(json::member("article", &line::article, json::size(1, 8)),
                      json::member("quantity", &line::quantity, json::between(1, 100)));
};

struct order {
    std::string currency;
    std::vector<line> lines;
    std::optional<double> discount;
    bool paid = false;
    std::int64_t customer = 0;
    boost::json::value extra;

    static constexpr auto json_members = json::members(
        json::member("currency", &order::currency, json::one_of("EUR", "USD")),
        json::member("lines", &order::lines, json::size(1, 3)),
        json::member("discount", &order::discount, json::between(0.0, 0.5)), json::member("paid", &order::paid),
        json::member("a/b~c", &order::customer), json::member("extra", &order::extra));
};

constexpr std::string_view whole =
    R"({"currency":"EUR","lines":[{"article":"nut","quantity":2}],"discount":2.5E-1,"paid":true,)"
    R"("a/b~c":-9223372036854775808,"extra":{"any":[1,null]}})";

request asking(std::string_view body, std::string_view type = "application/json") {
    request made;
    made.body = body;
    made.fields.push_back({http::field::content_type, "Content-Type", type});
    return made;
}

/// "POINTER: DETAIL" of each fault of a body.
template <class T>
std::vector<std::string> faults_of(std::string_view body) {
    const auto got = json::read<T>(asking(body));
    EXPECT_EQ(!got, got.why().status == http::status::unprocessable_entity) << body;
    std::vector<std::string> all;
    for (const auto& each : got.why().errors) all.push_back(each.pointer + ": " + each.detail);
    return all;
}

/// The same with one member another one.
std::vector<std::string> faults_with(std::string_view name, std::string_view value) {
    auto changed = boost::json::parse(whole).as_object();
    changed[name] = boost::json::parse(value);
    return faults_of<order>(boost::json::serialize(changed));
}

TEST(Json, ABodyIsReadIntoTheStructThatDescribesIt) {
    const auto got = json::read<order>(asking(whole));
    ASSERT_TRUE(got);
    EXPECT_EQ(got->currency, "EUR");
    ASSERT_EQ(got->lines.size(), 1U);
    EXPECT_EQ(got->lines[0].article, "nut");
    EXPECT_EQ(got->lines[0].quantity, 2);
    EXPECT_EQ(got->discount, 0.25);
    EXPECT_TRUE(got->paid);
    EXPECT_EQ(got->customer, std::numeric_limits<std::int64_t>::min());
    EXPECT_EQ(got->extra, boost::json::parse(R"({"any":[1,null]})"));
}

TEST(Json, WhatIsWrittenIsWhatIsRead) {
    const auto got = json::read<order>(asking(whole));
    ASSERT_TRUE(got);
    EXPECT_EQ(json::write(*got), whole);
    const auto answer = json::answer(http::status::created, *got);
    EXPECT_EQ(answer.status, http::status::created);
    EXPECT_EQ(answer.content_type, "application/json");
    EXPECT_EQ(answer.body, std::string(whole) + "\n");
}

TEST(Json, ANumberThatJsonHasNoWordForIsNull) {
    EXPECT_EQ(json::write(std::vector<double>{1, std::numeric_limits<double>::infinity(), std::nan("")}),
              "[1E0,null,null]");
    EXPECT_EQ(json::write(std::optional<bool>()), "null");
}

TEST(Json, AnOptionalMemberMayBeAbsentOrNullAndNoOther) {
    auto without = boost::json::parse(whole).as_object();
    without.erase("discount");
    const auto got = json::read<order>(asking(boost::json::serialize(without)));
    ASSERT_TRUE(got);
    EXPECT_FALSE(got->discount);
    EXPECT_THAT(faults_with("discount", "null"), testing::IsEmpty());
    EXPECT_THAT(faults_with("paid", "null"), testing::ElementsAre("/paid: true or false"));
    EXPECT_THAT(faults_of<line>("{}"), testing::ElementsAre("/article: is required: a text of 1 to 8 bytes",
                                                            "/quantity: is required: a whole number from 1 to 100"));
}

TEST(Json, MembersThatAreNotDescribedAreNotLookedAt) {
    EXPECT_THAT(faults_with("from a newer client", "[]"), testing::IsEmpty());
}

TEST(Json, AFaultIsNamedByItsPointerAndWhatIsAllowedThere) {
    using testing::ElementsAre;
    EXPECT_THAT(faults_with("currency", "\"GBP\""), ElementsAre("/currency: one of EUR, USD"));
    EXPECT_THAT(faults_with("currency", "7"), ElementsAre("/currency: one of EUR, USD"));
    EXPECT_THAT(faults_with("lines", "[]"), ElementsAre("/lines: an array of 1 to 3 elements"));
    EXPECT_THAT(faults_with("lines", "{}"), ElementsAre("/lines: an array of 1 to 3 elements"));
    EXPECT_THAT(faults_with("lines", R"([{"article":"a","quantity":1},7])"), ElementsAre("/lines/1: an object"));
    EXPECT_THAT(
        faults_with("lines", R"([{"article":"","quantity":101}])"),
        ElementsAre("/lines/0/article: a text of 1 to 8 bytes", "/lines/0/quantity: a whole number from 1 to 100"));
    EXPECT_THAT(faults_with("discount", "0.51"), ElementsAre("/discount: a number from 0 to 0.5"));
    EXPECT_THAT(faults_with("a/b~c", "1.5"),
                ElementsAre("/a~1b~0c: a whole number from -9223372036854775808 to 9223372036854775807"));
    EXPECT_THAT(faults_of<order>("[]"), ElementsAre(": an object"));
}

TEST(Json, ANumberIsTakenWhereItsTypeHoldsItAndNotCutShort) {
    for (const auto* fits : {"1", "100", "1E1", "2.0"})
        EXPECT_THAT(faults_of<line>(R"({"article":"a","quantity":)" + std::string(fits) + "}"), testing::IsEmpty())
            << fits;
    for (const auto* not_ : {"0", "101", "257", "-1", "1.5", "1e999", "18446744073709551617", "\"1\"", "true", "null"})
        EXPECT_EQ(faults_of<line>(R"({"article":"a","quantity":)" + std::string(not_) + "}").size(), 1U) << not_;
    EXPECT_THAT(faults_of<std::vector<double>>("[1e999]"), testing::ElementsAre("/0: a number"));
}

TEST(Json, OfManyFaultsTheFirstAreSaid) {
    std::string many = "[0";
    for (int nth = 0; nth < 100'000; ++nth) many += ",0";
    const auto all = faults_of<std::vector<std::string>>(many + "]");
    EXPECT_EQ(all.size(), server::problem_details::most_errors);
    EXPECT_EQ(all.back(), "/15: a text");
}

TEST(Json, TheAnswerToAFaultSaysAllOfIt) {
    const auto answer = json::read<line>(asking(R"({"article":"","quantity":1})")).problem();
    EXPECT_EQ(answer.status, http::status::unprocessable_entity);
    EXPECT_EQ(answer.content_type, "application/problem+json");
    EXPECT_EQ(answer.body,
              R"({"title":"Unprocessable Entity","status":422,"detail":"the body is not what is expected here",)"
              R"("errors":[{"pointer":"/article","detail":"a text of 1 to 8 bytes"}]})"
              "\n");
}

TEST(Json, WhatIsNoJsonIsABadRequestThatNamesTheByte) {
    const auto why = [](std::string_view body) {
        const auto got = json::parse(asking(body));
        EXPECT_FALSE(got) << body;
        EXPECT_EQ(got.why().status, http::status::bad_request) << body;
        return got.why().detail;
    };
    EXPECT_THAT(why(R"({"a":1,})"), testing::EndsWith(" at byte 7"));
    EXPECT_EQ(why("{} {}"), "no JSON: more follows at byte 3");
    for (const auto* not_ : {"", " ", "{", "\"\xff\"", "nul", "'a'", "1 //", "NaN"}) why(not_);
}

TEST(Json, WhatIsNestedTooDeepIsRefused) {
    const auto nested = [](std::size_t times) { return std::string(times, '[') + std::string(times, ']'); };
    EXPECT_TRUE(json::parse(asking(nested(json::most_depth))));
    EXPECT_EQ(json::parse(asking(nested(json::most_depth + 1))).why().detail, "nested more than 32 deep");
    EXPECT_FALSE(json::parse(asking(nested(500'000))));
    EXPECT_FALSE(json::parse(asking("[[]]"), 1));
}

TEST(Json, ABodyMustSayThatItIsJson) {
    for (const auto* type : {"application/json", "Application/JSON ; charset=utf-8", "application/merge-patch+json"})
        EXPECT_TRUE(json::parse(asking("{}", type))) << type;
    for (const auto* type : {"", "text/plain", "application/jsonp", "application/x-www-form-urlencoded", "+json"})
        EXPECT_EQ(json::parse(asking("{}", type)).why().status, http::status::unsupported_media_type) << type;
}

}  // namespace
