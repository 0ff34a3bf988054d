#include "lifecycle/shutdown_report.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace {

using namespace std::chrono_literals;
using lifecycle::shutdown_report;

shutdown_report full_report() {
    shutdown_report report;
    report.cause = "part:app";
    report.exit_code = 3;
    report.started = std::chrono::system_clock::time_point(1'700'000'000s + 42ms);
    report.duration = 1'234ms;
    report.phases = {{"lame_duck", 0ms, 1ms}, {"app", 19'900ms, 250ms}};
    report.sections = {{"jobs", R"({"begun":1,"cut":2})"}, {"leases", R"({"returned":3})"}};
    report.stragglers = {{"app-1", "loop", 99ms, "read \"here\""}};
    report.workers_left = 15;
    report.threads_left = 16;
    return report;
}

TEST(ShutdownReport, IsOneJsonObjectWithWhatThePartsHaveToSayInTheMiddle) {
    const auto text = full_report().to_json();
    EXPECT_EQ(text.find('\n'), std::string::npos) << "one line";
    EXPECT_LT(text.find("\"phases\""), text.find("\"jobs\""));
    EXPECT_LT(text.find("\"leases\""), text.find("\"stragglers\""));
    EXPECT_EQ(boost::json::parse(text), boost::json::parse(R"({
        "cause": "part:app", "exit_code": 3, "started": "2023-11-14T22:13:20.042Z", "duration_ms": 1234,
        "phases": [{"name": "lame_duck", "budget_ms": 0, "used_ms": 1},
                   {"name": "app", "budget_ms": 19900, "used_ms": 250}],
        "jobs": {"begun": 1, "cut": 2}, "leases": {"returned": 3},
        "stragglers": [{"name": "app-1", "kind": "loop", "age_ms": 99, "where": "read \"here\""}],
        "workers_left": 15, "threads_left": 16})"));
}

TEST(ShutdownReport, HasEmptyListsRatherThanNone) {
    const auto report = boost::json::parse(shutdown_report().to_json()).as_object();
    EXPECT_TRUE(report.at("phases").as_array().empty());
    EXPECT_TRUE(report.at("stragglers").as_array().empty());
}

TEST(ShutdownReport, SaysNullWhereThereIsNoProc) {
    auto report = full_report();
    report.threads_left.reset();
    EXPECT_TRUE(boost::json::parse(report.to_json()).at("threads_left").is_null());
}

}  // namespace
