// What the debug port gives to a browser; tests/page drives it in a real one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "tests/integration/service.hpp"

namespace integration {
namespace {

using testing::HasSubstr;
using testing::Not;

service with_page() { return service(service::options{.program = SERVICE_WITH_MODULES}); }

response visit(const service& service) {
    return service.ask_debug(get("/debug/", "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"));
}

/// What the answer's policy lets run.
std::string nonce_of(const response& answer) {
    const std::string policy(answer.header("Content-Security-Policy"));
    std::smatch found;
    return std::regex_search(policy, found, std::regex("script-src 'nonce-([0-9a-f]{32})'")) ? found[1].str() : "";
}

TEST(Page, ABrowserGetsThePageAndEverybodyElseTheText) {
    const auto service = with_page();
    const auto page = visit(service);
    EXPECT_EQ(page.header("Content-Type"), "text/html; charset=utf-8");
    EXPECT_THAT(page.body, HasSubstr("<!doctype html>"));
    EXPECT_EQ(page.header("Vary"), "Accept");
    for (const char* accept : {"", "Accept: */*\r\n", "Accept: text/plain\r\n"}) {
        const auto text = service.ask_debug(get("/debug/", accept));
        EXPECT_THAT(std::string(text.header("Content-Type")), HasSubstr("text/plain")) << accept;
        EXPECT_THAT(text.body, HasSubstr("/debug/shutdown  ")) << accept;
        EXPECT_EQ(text.header("Vary"), "Accept");
    }
}

TEST(Page, NothingRunsButWhatTheNonceOfThisAnswerMarks) {
    const auto service = with_page();
    const auto page = visit(service);
    const auto nonce = nonce_of(page);
    ASSERT_FALSE(nonce.empty()) << page.header("Content-Security-Policy");
    EXPECT_THAT(std::string(page.header("Content-Security-Policy")), HasSubstr("default-src 'none'"));
    EXPECT_THAT(std::string(page.header("Content-Security-Policy")), Not(HasSubstr("unsafe")));
    EXPECT_THAT(page.body, HasSubstr("<script nonce=\"" + nonce + "\">"));
    EXPECT_THAT(page.body, HasSubstr("<style nonce=\"" + nonce + "\">"));
    EXPECT_THAT(page.body, Not(HasSubstr("<script>")));
    EXPECT_NE(nonce, nonce_of(visit(service)));
}

TEST(Page, HasIndexAndFiguresWithoutScript) {
    const auto service = with_page();
    const auto body = visit(service).body;
    EXPECT_THAT(body, HasSubstr("<a href=\"/debug/shutdown\">/debug/shutdown</a>"));
    EXPECT_THAT(body, HasSubstr("<dt>phase</dt><dd>serving</dd>"));
    EXPECT_THAT(body, Not(HasSubstr("{{"))) << "a place that nothing has filled in";
}

TEST(Page, AsksForNothingFromElsewhere) {
    const auto service = with_page();
    const auto body = visit(service).body;
    for (const char* way : {" src=", "@import", "url(", "https://"}) EXPECT_THAT(body, Not(HasSubstr(way)));
}

}  // namespace
}  // namespace integration
