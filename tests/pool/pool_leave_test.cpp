// A pool whose job does not come home: the process that it is a part of ends in its budget all the same.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "lifecycle/pool/pool.hpp"
#include "tests/lifecycle/fakes.hpp"
#include "tests/support/eventually.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::process;
using lifecycle::shutdown_report;
using testing::HasSubstr;

/// What a process says of a stop in which a job ignores its token. Its report; its exit code is in it too.
boost::json::object report_of_a_process_whose_job_hangs() {
    const fakes::folder folder;
    auto options = process::brisk();
    options.budget = 400ms;
    options.report = folder.file("report.json");
    const int code = fakes::exit_code_of([&] {
        process process(options);
        const auto part = process.stop.add_part("jobs", std::chrono::milliseconds(0));
        lifecycle::pool jobs({"jobs", 1, 4}, process.workers, process.log, part);
        jobs.try_submit("read a dead mount", [](std::stop_token) { fakes::hang(); });
        process.done.run(part, [&](std::stop_token token) { jobs.run(std::move(token)); });
        if (!support::eventually([&] { return jobs.now().running == 1; })) return 98;
        process.send(SIGTERM);
        process.done.wait({.account = [&](shutdown_report& report) {
            for (auto& late : jobs.stragglers()) report.stragglers.push_back(std::move(late));
        }});
        return 99;  // not reached: it leaves by _Exit
    });
    EXPECT_EQ(code, lifecycle::forced);
    const auto text = fakes::content_of(options.report);
    return text.empty() ? boost::json::object() : boost::json::parse(text).as_object();
}

TEST(PoolThatIsLeft, AJobThatNeverEndsHoldsTheExitToItsBudgetAndTheReportNamesIt) {
    const auto report = report_of_a_process_whose_job_hangs();
    ASSERT_FALSE(report.empty());
    const auto stragglers = boost::json::serialize(report.at("stragglers"));
    EXPECT_THAT(stragglers, HasSubstr(R"({"name":"read a dead mount","kind":"job")"));
    EXPECT_THAT(stragglers, HasSubstr(R"({"name":"jobs-1","kind":"worker")"));
    EXPECT_GE(report.at("duration_ms").to_number<int>(), 300);
}

}  // namespace
