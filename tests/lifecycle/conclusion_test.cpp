#include "lifecycle/conclusion.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <sstream>

namespace {

using namespace std::chrono_literals;
using lifecycle::ends;
using lifecycle::exit_code_of;
using lifecycle::part_end;
using lifecycle::shutdown_report;

ends one_part(part_end end) { return {.parts = {std::move(end)}}; }

TEST(Conclusion, IsCleanWhenAllHaveEndedAsTheyWereAsked) {
    EXPECT_EQ(exit_code_of(one_part({.name = "app", .asked = true, .ended = true}), {}), lifecycle::clean);
    EXPECT_EQ(exit_code_of({}, {}), lifecycle::clean) << "there was nothing to end";
}

TEST(Conclusion, IsTwoWhenAPartHasEndedUnaskedOrFailed) {
    EXPECT_EQ(exit_code_of(one_part({.name = "app", .ended = true}), {}), lifecycle::part_failed);
    EXPECT_EQ(exit_code_of(one_part({.name = "app", .asked = true, .ended = true, .failed = true}), {}),
              lifecycle::part_failed);
}

TEST(Conclusion, IsOneWhenThatWasBeforeReadiness) {
    const part_end early{.name = "database", .ended = true, .failed = true, .before_ready = true};
    EXPECT_EQ(exit_code_of(one_part(early), {}), lifecycle::could_not_start);
    EXPECT_EQ(exit_code_of({.failure = true, .failure_before_ready = true}, {}), lifecycle::could_not_start);
    EXPECT_EQ(exit_code_of({.failure = true}, {}), lifecycle::part_failed);
    const ends both{.parts = {early, {.name = "app", .asked = true, .ended = true, .failed = true}}};
    EXPECT_EQ(exit_code_of(both, {}), lifecycle::part_failed) << "the highest";
}

TEST(Conclusion, IsThreeForWhatWasCutOrLostOrIsLeft) {
    shutdown_report cut, lost, late, worker, thread;
    cut.cut = true;
    lost.lost = true;
    late.stragglers = {{"app-1", "loop", 9ms, {}}};
    worker.workers_left = 1;
    thread.threads_left = 1;
    for (const auto* report : {&cut, &lost, &late, &worker, &thread})
        EXPECT_EQ(exit_code_of({}, *report), lifecycle::forced);
    thread.threads_left = 0;
    EXPECT_EQ(exit_code_of({}, thread), lifecycle::clean);
}

TEST(Conclusion, IsFourForAnAccountThatDoesNotBalanceWhateverElse) {
    shutdown_report report;
    report.cut = true;
    report.balanced = false;
    EXPECT_EQ(exit_code_of(one_part({.name = "app", .ended = true, .failed = true}), report), lifecycle::unbalanced);
}

TEST(Conclusion, SaysWhoIsStillThereThenHowItWentThenTheReport) {
    shutdown_report report;
    report.stragglers = {{"app-1", "loop", 99ms, "read < main"}, {"/slow", "request", 7ms, {}}};
    report.duration = 12ms;
    report.exit_code = 3;
    std::ostringstream text;
    spdlog::logger log("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text));
    log.set_pattern("%l %v");
    lifecycle::write_last_lines(report, log);
    EXPECT_EQ(text.str(),
              "error straggler: loop app-1 after 99 ms in read < main\n"
              "error straggler: request /slow after 7 ms\n"
              "info stopped in 12 ms, code 3: 0 answered, 0 cut, 0 events left\n"
              "info shutdown report " +
                  report.to_json() + "\n");
}

}  // namespace
