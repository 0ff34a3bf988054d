// GET /aggregate of the real program, with upstreams that are well and with such that die, hang, trickle, reset, and
// say what is no HTTP or too much.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>

#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"
#include "tests/support/load.hpp"
#include "tests/support/scripted_upstream.hpp"
#include "tests/support/slow_build.hpp"

namespace integration {
namespace {

namespace json = boost::json;
using support::scripted_upstream;
using testing::HasSubstr;

service calling(const std::string& allowed, std::vector<std::string> flags = {}) {
    flags.push_back("--client.allow=" + allowed);
    return service(service::options{.flags = std::move(flags), .program = SERVICE_WITH_MODULES});
}

/// GET /aggregate of these, as the query has them.
std::string aggregate(const std::vector<std::string>& urls, std::string_view headers = {}) {
    std::string path = "/aggregate";
    for (const auto& url : urls) path += (path.size() == 10 ? "?url=" : "&url=") + url;
    return get(path, headers);
}

/// "200 fine" or the error, for each result.
std::vector<std::string> results(const response& answer) {
    std::vector<std::string> all;
    const auto whole = json::parse(answer.body);
    for (const auto& value : whole.at("results").as_array()) {
        const auto& object = value.as_object();
        all.push_back(object.contains("error") ? std::string(object.at("error").as_string())
                                               : fmt::format("{} {}", object.at("status").to_number<int>(),
                                                             std::string_view(object.at("body").as_string())));
    }
    return all;
}

bool complete(const response& answer) { return json::parse(answer.body).at("complete").as_bool(); }

TEST(Aggregate, AnswersWhatAllHaveSaidInTheOrderOfTheQuery) {
    const scripted_upstream up, other;
    const auto service = calling(up.origin() + "," + other.origin());
    const auto answer = service.ask(
        aggregate({up.url("/slow"), other.url("/ok?a=b%26c"), up.url("/close"), up.url("/no"), up.url("/ok")},
                  "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.header("Content-Type"), "application/json");
    EXPECT_TRUE(complete(answer));
    EXPECT_THAT(results(answer), testing::ElementsAre("200 slow", "200 fine", "200 bye", "404 ", "200 fine"));
    const auto seen = other.requests().at(0);
    EXPECT_EQ(seen.path(), "/ok?a=b&c");
    EXPECT_THAT(seen.field("traceparent"), HasSubstr("00-0af7651916cd43dd8448eb211c80319c-"));
    EXPECT_THAT(seen.field("traceparent"), testing::Not(HasSubstr("b7ad6b7169203331")));
    EXPECT_THAT(seen.field("X-Request-Timeout"), testing::EndsWith("ms"));
}

TEST(Aggregate, RefusesWhatTheSettingsDoNotAllowBeforeAnybodyIsCalled) {
    const scripted_upstream up;
    const scripted_upstream other;
    const auto service = calling(up.origin());
    const auto status = [&](const std::vector<std::string>& urls) { return service.ask(aggregate(urls)).status; };
    EXPECT_EQ(status({up.url("/ok"), other.url("/ok")}), 403);
    EXPECT_EQ(status({"http://169.254.169.254/latest/meta-data/"}), 403);
    EXPECT_EQ(status({"https" + up.url("/").substr(4)}), 403);
    EXPECT_EQ(status({"http://me@" + up.url("/ok").substr(7)}), 400);
    EXPECT_EQ(status({"file:///etc/passwd"}), 400);
    EXPECT_EQ(status({up.url("/ok"), "/debug/shutdown"}), 400);
    EXPECT_EQ(status({}), 400);
    EXPECT_EQ(status(std::vector(17, up.url("/ok"))), 400);
    EXPECT_EQ(up.accepted() + other.accepted(), 0U);
    EXPECT_EQ(status(std::vector(16, up.url("/ok"))), 200);
    EXPECT_EQ(calling("").ask(aggregate({up.url("/ok")})).status, 403);
}

TEST(Aggregate, ARedirectIsAnAnswerAndIsNotFollowed) {
    const scripted_upstream other;
    const scripted_upstream up([&](const auto&, std::size_t) {
        return scripted_upstream::reply{"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + other.url("/ok") +
                                        "\r\n\r\n"};
    });
    const auto service = calling(up.origin() + "," + other.origin());
    EXPECT_THAT(results(service.ask(aggregate({up.url("/")}))), testing::ElementsAre("302 "));
    EXPECT_EQ(other.accepted(), 0U);
}

TEST(Aggregate, AnswersInTimeWithoutWhoeverIsLate) {
    const scripted_upstream up;
    const auto service = calling(up.origin());
    const auto began = clock::now();
    const auto answer =
        service.ask(aggregate({up.url("/hang"), up.url("/ok"), up.url("/trickle")}, "X-Request-Timeout: 600ms\r\n"));
    EXPECT_TRUE(support::in_time(clock::now() - began, milliseconds(support::slow_build ? 5'000 : 2'000)));
    EXPECT_EQ(answer.status, 200);
    EXPECT_FALSE(complete(answer));
    EXPECT_THAT(results(answer), testing::ElementsAre("late", "200 fine", "late"));
    EXPECT_TRUE(eventually([&] { return up.open() <= 1; }));  // of three one is kept
}

TEST(Aggregate, Answers502WhenAllHaveFailedAnd504WhenAllAreLate) {
    scripted_upstream up, dead;
    dead.die();
    const auto service = calling(up.origin() + "," + dead.origin());
    const auto failed = service.ask(aggregate(
        {dead.url("/ok"), up.url("/reset"), up.url("/garbage"), up.url("/much"), up.url("/large"), up.url("/cut")}));
    EXPECT_EQ(failed.status, 502);
    EXPECT_FALSE(complete(failed));
    EXPECT_EQ(results(failed).at(0), "Connection refused");
    const auto late = service.ask(aggregate(std::vector(6, up.url("/hang")), "X-Request-Timeout: 300ms\r\n"));
    EXPECT_EQ(late.status, 504);
    const auto both = service.ask(aggregate({up.url("/hang"), dead.url("/ok")}, "X-Request-Timeout: 300ms\r\n"));
    EXPECT_EQ(both.status, 502);
}

TEST(Aggregate, ABodyThatIsNoTextIsAnErrorAndNoBrokenJson) {
    const scripted_upstream up([](const auto&, std::size_t) { return scripted_upstream::ok("\xFF\xFE"); });
    const auto service = calling(up.origin());
    EXPECT_THAT(results(service.ask(aggregate({up.url("/")}))), testing::ElementsAre("the body is no UTF-8"));
}

TEST(Aggregate, AConnectionThatTheUpstreamClosesInTheIdleRaceCostsNobodyAnAnswer) {
    const scripted_upstream up;
    const auto service = calling(up.origin(), {"--app.threads=1"});
    for (int i = 0; i < 10; ++i)
        EXPECT_THAT(results(service.ask(aggregate({up.url("/race")}))), testing::ElementsAre("200 first"));
    EXPECT_EQ(up.accepted(), 10U);
    EXPECT_EQ(up.requests().size(), 19U);  // the second of each connection is not answered, and repeated
}

TEST(Aggregate, WhenTheClientGoesItsCallsDo) {
    const scripted_upstream up;
    const auto service = calling(up.origin());
    {
        auto client = service.connect();
        client.send(aggregate(std::vector(4, up.url("/hang"))));
        EXPECT_TRUE(eventually([&] { return up.requests().size() == 4; }));
    }
    EXPECT_TRUE(eventually([&] { return up.open() == 0; }));
    EXPECT_TRUE(eventually(
        [&] { return service.ask_debug(get("/debug/tasks")).body.find("/aggregate") == std::string::npos; }));
}

/// A bare system has no /etc/hosts, and nothing there knows this name.
bool localhost_is_known() {
    addrinfo hints{};
    hints.ai_family = AF_INET;
    addrinfo* found = nullptr;
    if (::getaddrinfo("localhost", nullptr, &hints, &found) != 0) return false;
    ::freeaddrinfo(found);
    return true;
}

TEST(Aggregate, NamesAreLookedUpByAPartThatEndsAfterTheApp) {
    const scripted_upstream up;
    const auto port = up.origin().substr(up.origin().rfind(':'));
    auto service = calling("http://localhost" + port);
    const auto said = results(service.ask(aggregate({"http://localhost" + port + "/ok"})));
    if (localhost_is_known()) {
        EXPECT_THAT(said, testing::ElementsAre("200 fine"));
        EXPECT_EQ(up.requests().at(0).field("Host"), "localhost" + port);
    } else {
        EXPECT_THAT(said, testing::ElementsAre(testing::AnyOf(HasSubstr("Host not found"), "late")));
    }
    EXPECT_THAT(service.ask_debug(get("/debug/tasks")).body, HasSubstr("names-1"));
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    std::vector<std::string> phases;
    const auto report = service.report();
    for (const auto& phase : report.at("phases").as_array()) phases.emplace_back(phase.at("name").as_string());
    EXPECT_THAT(phases, testing::ElementsAre("lame_duck", "app", "names", "tracker", "debug"));
    EXPECT_EQ(faults(report), "");
}

TEST(Aggregate, ASettingThatIsNoListOfOriginsStopsTheStart) {
    service refused(service::options{
        .flags = {"--client.allow=ftp://shop"}, .wait_until_ready = false, .program = SERVICE_WITH_MODULES});
    EXPECT_EQ(refused.exit_code(), 1);
    EXPECT_TRUE(refused.logs("cannot start: client.allow 'ftp://shop': another scheme")) << refused.err();
}

/// What a process has, that load must not make more of.
struct held {
    std::ptrdiff_t descriptors = 0;
    std::size_t memory_kib = 0;

    explicit held(service& of) {
        const auto process = fmt::format("/proc/{}/", of.process().pid());
        descriptors =
            std::distance(std::filesystem::directory_iterator(process + "fd"), std::filesystem::directory_iterator());
        std::ifstream status(process + "status");
        for (std::string line; std::getline(status, line);)
            if (line.starts_with("VmRSS:")) memory_kib = std::stoul(line.substr(6));
    }
};

constexpr const char* in_time = "X-Request-Timeout: 250ms\r\n";
constexpr std::array<const char*, 12> ways{"/ok",  "/hang",    "/slow", "/trickle", "/ok",    "/reset",
                                           "/cut", "/garbage", "/much", "/large",   "/close", "/race"};

/// Two to five upstream calls a request, each request another mixture; one of them is always well.
std::string mixture(const scripted_upstream& up, const scripted_upstream& other, std::uint64_t number) {
    std::vector<std::string> urls{up.url("/ok")};
    for (std::uint64_t nth = 0; nth <= number % 4; ++nth) {
        const auto* const way = ways.at((number * 5 + nth * 7) % ways.size());
        urls.push_back((nth % 2 == 0 ? other : up).url(way));
    }
    return aggregate(urls, in_time);
}

/// Sixteen clients, and one more whose answers are timed; `middle` happens between two of those.
void play(const service& service, const scripted_upstream& up, const scripted_upstream& other,
          const std::function<void()>& middle) {
    constexpr std::uint64_t timed = 20;
    const milliseconds limit(support::slow_build ? 5'000
                                                 : 1'500);  // of 250 ms, on a machine that does other things too
    std::uint64_t good = 0;
    support::background_load load(
        service.app(), {16, [&](std::uint64_t number) { return mixture(up, other, number); },
                        [&good](const std::string&, const response& answer) { good += answer.status == 200 ? 1 : 0; }});
    for (std::uint64_t nth = 0; nth < timed; ++nth) {
        if (nth == timed / 2) middle();
        const auto began = clock::now();
        const auto answer = service.ask(mixture(up, other, nth));
        EXPECT_TRUE(support::in_time(clock::now() - began, limit)) << answer.body;
        EXPECT_THAT(answer.status, testing::AnyOf(200, 502, 504)) << answer.body;
    }
    const auto& seen = load.finish();
    EXPECT_EQ(seen.lost() + seen.refused, 0U);
    const std::uint64_t least = support::slow_build ? 1 : 8;  // tenths, of what has 250 ms
    EXPECT_GT(good * 10, seen.answered * least) << "one of them is always well: " << good << " of " << seen.answered;
}

TEST(Aggregate, UnderLoadUpstreamsThatMisbehaveCostNoAnswerAndLeaveNothing) {
    const scripted_upstream up;
    scripted_upstream other;
    auto service =
        calling(up.origin() + "," + other.origin(), {"--client.max_connections=64", "--client.idle_timeout=200ms"});
    const auto quiet = [&] {
        return up.open() == 0 && service.ask_debug(get("/debug/tasks")).body.find("/aggregate") == std::string::npos;
    };
    play(service, up, other, [&] {
        other.close_idle();
        other.die();
    });
    EXPECT_TRUE(eventually(quiet));
    const held before(service);
    for (int round = 0; round < 3; ++round) play(service, up, other, [] {});
    EXPECT_TRUE(eventually(quiet));
    EXPECT_TRUE(eventually([&] { return held(service).descriptors <= before.descriptors; }));
    if (!support::slow_build) {  // a sanitizer keeps what is freed
        EXPECT_LT(held(service).memory_kib, before.memory_kib + 8UL * 1024);
    }
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_EQ(faults(service.report()), "");
}

TEST(Aggregate, AStopInTheMiddleOfItAnswersEverybody) {
    const scripted_upstream up, other;
    auto service = calling(up.origin() + "," + other.origin());
    std::vector<int> unexpected;
    support::load load(service.app(), {16, [&](std::uint64_t number) { return mixture(up, other, number); },
                                       [&](const std::string&, const response& answer) {
                                           const auto code = answer.status;
                                           if (code != 200 && code != 502 && code != 504) unexpected.push_back(code);
                                       }});
    EXPECT_TRUE(load.run([&] { return load.seen().answered >= 100; }, milliseconds(60'000)));
    service.process().signal(SIGTERM);
    EXPECT_TRUE(load.run([&] { return load.alive() == 0 || service.process().ended(); }, milliseconds(20'000)));
    EXPECT_TRUE(load.finish(milliseconds(10'000)));
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_EQ(load.seen().lost(), 0U);
    EXPECT_THAT(unexpected, testing::IsEmpty());
    const auto report = service.report();
    EXPECT_EQ(faults(report), "");
    EXPECT_EQ(number(report, "requests", "cut"), 0);
    EXPECT_TRUE(eventually([&] { return up.open() + other.open() == 0; }));
}

}  // namespace
}  // namespace integration
