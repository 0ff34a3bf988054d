// Standard output and error that lead to the same place, with a reader there or without.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>

#include <atomic>
#include <set>
#include <sstream>
#include <thread>

#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"

namespace integration {
namespace {

using testing::HasSubstr;

const std::vector<std::string> to_stdout{"--tracker.sink=stdout", "--log.access=true", "--log.format=json"};

std::vector<std::string> with(std::vector<std::string> flags, const std::string& text) {
    flags.push_back(text);
    return flags;
}

/// A shell that becomes the service with both on what `where` opens.
std::vector<std::string> both_on(const std::string& where) {
    return {"/bin/sh", "-c", where + R"(; exec "$0" "$@" > p 2>&1)"};
}

struct found {
    std::set<std::string> ids;
    std::size_t unreadable = 0;
};

found lines_of(const std::filesystem::path& path) {
    found result;
    std::istringstream text(support::read_file(path));
    for (std::string line; std::getline(text, line);) {
        boost::system::error_code error;
        const auto value = boost::json::parse(line, error);
        if (error || !value.is_object())
            ++result.unreadable;
        else if (const auto* const id = value.as_object().if_contains("id"))
            result.ids.emplace(id->as_string());
    }
    return result;
}

/// 150 events of 10 KB, while two others ask for pages; then a stop.
std::set<std::string> load(service& service) {
    std::atomic<bool> over{false};
    std::vector<std::jthread> others;
    for (int nth = 0; nth < 2; ++nth)
        others.emplace_back([&] {
            auto connection = service.connect();
            while (!over && connection.exchange(get("/"))) {}
        });
    std::set<std::string> accepted;
    auto connection = service.connect();
    for (int nth = 0; nth < 150; ++nth) {
        const auto answer = connection.exchange(post(fmt::format("event-{}", nth), std::string(10'240, 'x')));
        if (answer && answer->status == 201) accepted.insert(fmt::format("event-{}", nth));
    }
    over = true;
    others.clear();
    service.process().signal(SIGTERM);
    return accepted;
}

TEST(Output, EachEventIsWholeInThePipeThatTheLogSharesWithTheSink) {
    service service({.flags = to_stdout, .starter = both_on("mkfifo p; cat p > out & true")});
    const auto accepted = load(service);
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_EQ(accepted.size(), 150U);
    ASSERT_TRUE(eventually(
        [&] { return support::read_file(service.directory() / "out").find("shutdown report") != std::string::npos; }));
    const auto got = lines_of(service.directory() / "out");
    EXPECT_EQ(got.ids, accepted);
    EXPECT_EQ(got.unreadable, 0U);
    EXPECT_EQ(faults(service.report()), "");
}

TEST(Output, EachEventIsWholeInTheFileThatTheLogSharesWithTheSink) {
    service service({.flags = to_stdout, .starter = both_on(":")});
    const auto accepted = load(service);
    EXPECT_EQ(service.exit_code(), 0);
    const auto got = lines_of(service.directory() / "p");
    EXPECT_EQ(got.ids, accepted);
    EXPECT_EQ(got.unreadable, 0U);
    EXPECT_THAT(support::read_file(service.directory() / "p"), HasSubstr("shutdown report"));
    EXPECT_EQ(faults(service.report()), "");
}

TEST(Output, APipeThatNobodyReadsHoldsNeitherALoopNorTheStop) {
    // The shell opens it for reading as well, so that it has a reader: the service, which does not read.
    service service({.flags = with(to_stdout, "--shutdown.budget=8s"), .starter = both_on("mkfifo p; exec 3<>p")});
    EXPECT_EQ(service.ask(post("large", std::string(70'000, 'x'))).status, 201);
    auto connection = service.connect();
    for (int nth = 0; nth < 3'000; ++nth) ASSERT_TRUE(connection.exchange(get("/"))) << nth;
    EXPECT_GT(metric(service, "log_lines_dropped_total"), 0);
    const auto when = service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_TRUE(support::in_time(service.lasted(when), milliseconds(8'100)));
    EXPECT_EQ(number(service.report(), "events", "spooled"), 1);
    EXPECT_EQ(faults(service.report()), "");
}

}  // namespace
}  // namespace integration
