// What the debug port gives to a browser; tests/page drives it in a real one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <regex>
#include <sstream>

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

/// What the script has before it asks for anything.
boost::json::object first_frame(const service& service) {
    const auto body = visit(service).body;
    const std::string begin = "<script type=\"application/json\" id=\"first\">";
    const auto at = body.find(begin) + begin.size();
    return boost::json::parse(body.substr(at, body.find("</script>", at) - at)).as_object();
}

TEST(Page, BringsWhatItsFirstFrameShows) {
    const auto service = with_page();
    for (int nth = 0; nth < 50; ++nth) ASSERT_EQ(service.ask(get("/")).status, 200);
    ASSERT_TRUE(eventually([&] { return !first_frame(service).at("history").at("requests").as_array().empty(); }));
    const auto frame = first_frame(service);
    EXPECT_EQ(frame.at("stop").at("phase"), "serving");
    const auto& history = frame.at("history").as_object();
    EXPECT_LT(history.at("up_ms").to_number<double>(), 120'000) << "it has just been started";
    for (const auto& rate : history.at("requests").as_array()) EXPECT_LE(rate.to_number<double>(), 100);
    EXPECT_THAT(boost::json::serialize(history.at("routes")), HasSubstr("GET /slow"));
    EXPECT_EQ(service.ask_debug(get("/debug/history?since=x")).status, 400);
}

TEST(Page, TheIndexHasWhatEachModuleAddsAndAllOfItAnswers) {
    const auto service = with_page();
    const auto index = service.ask_debug(get("/debug/")).body;
    for (const char* path : {"/debug/pprof/profile ", "/debug/pprof/heap ", "/debug/trace ", "/debug/history "})
        EXPECT_THAT(index, HasSubstr("\n" + std::string(path))) << "the page has a button only for what stands here";
    std::istringstream lines(index);
    for (std::string line; std::getline(lines, line);) {
        auto path = line.substr(0, line.find(' '));
        if (path == "/debug/outcome") continue;  // waits for the end
        if (path == "/debug/pprof/profile" || path == "/debug/trace") path += "?seconds=1";
        EXPECT_THAT(service.ask_debug(get(path)).status, testing::AnyOf(200, 405)) << path;
    }
}

TEST(Page, WhoWaitsForTheOutcomeHearsOfRequestsThatWereCutBeforeTheProcessEnds) {
    service service(service::options{.flags = {"--shutdown.idle_grace=0s"}, .program = SERVICE_WITH_MODULES});
    auto reader = service.connect(4096);
    reader.send(get("/big?bytes=100000000"));  // more than any buffer holds: its head is out, its end never will be
    reader.receive_some(1);
    client watch(service.debug());
    watch.send(get("/debug/outcome"));
    service.begin_stop(SIGTERM);
    EXPECT_EQ(boost::json::parse(service.ask_debug(get("/debug/shutdown")).body).at("so_far").at("cut"), 0)
        << "it may still be answered";
    service.signal_again(SIGTERM);
    const auto heard = watch.receive();
    EXPECT_EQ(service.exit_code(), 3);
    ASSERT_TRUE(heard) << service.err();
    const auto outcome = boost::json::parse(heard->body).as_object();
    EXPECT_EQ(outcome.at("over"), true) << heard->body;
    EXPECT_EQ(outcome.at("exit_code"), 3);
    EXPECT_EQ(outcome.at("cut"), number(service.report(), "requests", "cut"));
    EXPECT_EQ(outcome.at("answered"), number(service.report(), "requests", "finished"));
}

TEST(Page, SaysHowTheRunBeforeEnded) {
    const support::temporary_directory shared;
    const service::options how{.flags = {"--tracker.directory=" + (shared.path() / "events").string()},
                               .program = SERVICE_WITH_MODULES};
    {
        service first(how);
        EXPECT_TRUE(first_frame(first).at("stop").at("previous_run").is_null());
        ASSERT_EQ(first.ask(get("/")).status, 200);
        first.process().signal(SIGTERM);
        ASSERT_EQ(first.exit_code(), 0);
    }
    const service second(how);
    const auto before = first_frame(second).at("stop").at("previous_run").as_object();
    EXPECT_EQ(before.at("phase"), "ended");
    EXPECT_EQ(before.at("cause"), "SIGTERM");
    EXPECT_EQ(before.at("exit_code"), 0);
    EXPECT_EQ(before.at("cut"), 0);
}

TEST(Page, AsksForNothingFromElsewhere) {
    const auto service = with_page();
    const auto body = visit(service).body;
    for (const char* way : {" src=", "@import", "url(", "https://"}) EXPECT_THAT(body, Not(HasSubstr(way)));
}

}  // namespace
}  // namespace integration
