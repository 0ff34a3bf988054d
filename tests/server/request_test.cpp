#include "server/request.hpp"

#include <gtest/gtest.h>

namespace {

using server::request;

request asking(std::string_view query) {
    request made;
    made.query = query;
    return made;
}

using text = std::optional<std::string>;

TEST(Request, AValueOfTheQueryIsDecodedAsAForm) {
    EXPECT_EQ(asking("a=b").query_value("a"), text("b"));
    EXPECT_EQ(asking("a=b+c%20d%2B").query_value("a"), text("b c d+"));
    EXPECT_EQ(asking("x=1&a%20b=c").query_value("a b"), text("c"));
    EXPECT_EQ(asking("x+y=1").query_value("x y"), text("1"));
    EXPECT_EQ(asking("a=b=c").query_value("a"), text("b=c"));
    EXPECT_EQ(asking("a=%C3%A4").query_value("a"), text("\xc3\xa4"));
}

TEST(Request, AValueIsFoundAmongWhatBrowsersLeaveUnescaped) {
    EXPECT_EQ(asking("a[]=1&b=2").query_value("b"), text("2"));
    EXPECT_EQ(asking("a[]=1&b=2").query_value("a[]"), text("1"));
    EXPECT_EQ(asking("a=x|y^z`{\\}%7C").query_value("a"), text("x|y^z`{\\}|"));
    EXPECT_EQ(asking("a={x:1}").query_value("a"), text("{x:1}"));
}

TEST(Request, TheFirstOfTwoValuesCounts) { EXPECT_EQ(asking("a=1&a=2").query_value("a"), text("1")); }

TEST(Request, AKeyWithoutValueIsThereAndEmpty) {
    EXPECT_EQ(asking("a").query_value("a"), text(""));
    EXPECT_EQ(asking("a=").query_value("a"), text(""));
    EXPECT_EQ(asking("&&a=").query_value("a"), text(""));
}

TEST(Request, AnAbsentKeyIsNone) {
    EXPECT_EQ(asking("").query_value("a"), text());
    EXPECT_EQ(asking("aa=1&b=a").query_value("a"), text());
    EXPECT_EQ(asking("A=1").query_value("a"), text());
}

TEST(Request, AQueryThatIsNotFollowedByNulIsReadToItsEnd) {
    const std::string buffer = "a=12 HTTP/1.1";
    EXPECT_EQ(asking(std::string_view(buffer).substr(0, 3)).query_value("a"), text("1"));
}

TEST(Request, ANumberIsAWholeNumberInItsRange) {
    const auto number = [](std::string_view query) { return asking(query).query_number<int>("n", 7, 0, 100); };
    EXPECT_EQ(number("n=0"), 0);
    EXPECT_EQ(number("n=100"), 100);
    EXPECT_EQ(number("n=007"), 7);
    EXPECT_EQ(number(""), 7) << "absent: the fallback";
    EXPECT_EQ(number("m=1"), 7);
    for (const auto* query : {"n=", "n", "n=-1", "n=101", "n=+1", "n=1.5", "n=1e1", "n=0x1", "n=a", "n=1a", "n=+",
                              "n=%201", "n=1%20", "n=99999999999999999999", "n=-99999999999999999999"})
        EXPECT_EQ(number(query), std::nullopt) << query;
}

TEST(Request, ANumberWithoutFallbackMustBeThere) {
    EXPECT_EQ(asking("").query_number<std::int64_t>("n", std::nullopt, 0, 9), std::nullopt);
    EXPECT_EQ(asking("n=5").query_number<std::int64_t>("n", std::nullopt, 0, 9), 5);
}

TEST(Request, AFieldIsFoundByNameWithoutCase) {
    request made;
    made.fields = {{server::http::field::unknown, "X-One", "1"},
                   {server::http::field::accept, "accept", "a"},
                   {server::http::field::accept, "Accept", "b"}};
    EXPECT_EQ(made.header("x-oNE"), "1");
    EXPECT_EQ(made.header("Accept"), "a");
    EXPECT_EQ(made.header(server::http::field::accept), "a");
    EXPECT_EQ(made.header("X-Two"), "");
    EXPECT_EQ(made.header(server::http::field::host), "");
}

TEST(Request, AParameterIsFoundByName) {
    request made;
    made.parameters = {{"id", "7"}, {"name", "x"}};
    EXPECT_EQ(made.parameter("name"), "x");
    EXPECT_EQ(made.parameter("Name"), "");
    EXPECT_EQ(made.parameter<int>("id"), 7);
    EXPECT_EQ(made.parameter<int>("name"), std::nullopt);
    EXPECT_EQ(made.parameter<int>("Id"), std::nullopt);
}

TEST(Request, AParameterIsANumberWhereAllOfItIsOneThatTheTypeHolds) {
    request made;
    const auto number = [&made](std::string_view text) {
        made.parameters = {{"id", text}};
        return made.parameter<std::uint8_t>("id");
    };
    EXPECT_EQ(number("0"), 0);
    EXPECT_EQ(number("255"), 255);
    for (const auto* no : {"", "256", "-1", "+1", " 1", "1 ", "1.0", "0x1", "seven"})
        EXPECT_EQ(number(no), std::nullopt) << no;
}

}  // namespace
