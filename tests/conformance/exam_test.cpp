// The exam, taken by the real binary. Any server can take it: see bench/conformance/run.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/conformance/examiner.hpp"
#include "tests/integration/service.hpp"

namespace conformance {
namespace {

/// With time enough for a slow build on a busy machine: what is too slow has tests of its own.
void expect_all_passed(pieces how, std::vector<std::string> flags, const questions& all = all_questions()) {
    for (const char* limit : {"header", "body", "write"}) flags.push_back(fmt::format("--app.{}_timeout=2m", limit));
    const integration::service service(std::move(flags));
    for (const auto& [asked, fault, answered] : examine(service.app(), all, how, support::milliseconds(100'000)))
        EXPECT_EQ(fault, "") << asked->name << " (RFC " << asked->section << "): expected " << asked->expect
                             << ", came " << answered;
}

TEST(Exam, HasAtLeast400QuestionsEachWithItsOwnNameAndSection) {
    const auto all = all_questions();
    EXPECT_GE(all.size(), 400U);
    std::set<std::string> bytes;
    for (const auto& each : all) {
        EXPECT_THAT(each.section, testing::MatchesRegex("(9110|9112|9113|3986) [0-9C][0-9.]*")) << each.name;
        EXPECT_FALSE(each.name.empty());
        bytes.insert(each.bytes + each.expect + (each.also.empty() ? "" : each.also.front()) +
                     (each.finishes_sending ? "F" : ""));
    }
    EXPECT_EQ(bytes.size(), all.size()) << "a question is asked twice";
}

constexpr auto strict = "--app.strict_targets=true";
/// The preface of HTTP/2 is a question too, for a server that speaks HTTP/1.1 alone.
std::vector<std::string> alone(std::vector<std::string> flags = {}) {
    flags.emplace_back("--app.http2=false");  // [module http2/]
    return flags;
}

/// With the answers of a server that also takes what browsers leave unescaped in a target.
questions as_browsers_need_it() {
    auto all = all_questions();
    for (auto& each : all)
        if (!each.by_browsers.empty()) each.expect = each.by_browsers;
    return all;
}

TEST(Exam, EveryQuestionInOnePiece) { expect_all_passed(pieces::whole, alone({strict})); }

TEST(Exam, EveryQuestionByteByByte) { expect_all_passed(pieces::bytes, alone({strict})); }

/// On one loop the questions share buffers, ticks and the order of events.
TEST(Exam, EveryQuestionAtOnceOnOneThread) { expect_all_passed(pieces::bytes, alone({strict, "--app.threads=1"})); }

TEST(Exam, ByDefaultNothingIsOtherwiseButTheTargetsOfBrowsers) {
    expect_all_passed(pieces::whole, alone(), as_browsers_need_it());
    expect_all_passed(pieces::bytes, alone(), as_browsers_need_it());
}

}  // namespace
}  // namespace conformance
