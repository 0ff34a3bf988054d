#include "cmd/service/telemetry/sender.hpp"

#include <gmock/gmock.h>
#include <spdlog/sinks/ostream_sink.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "tests/telemetry/joined.hpp"

namespace telemetry {
namespace {

using lifecycle::clock;
using namespace std::chrono_literals;

constexpr clock::time_point begin{std::chrono::hours(1'000'000)};

/// Records are one letter each; a sender of them, and a receiver that answers as the test says.
struct scene {
    std::function<reply(const std::string&)> answers = [](const std::string&) { return reply{.status = 200}; };
    std::function<void(const std::string&)> seen = [](const std::string&) {};  ///< each body
    std::string stored;
    std::size_t posts = 0;
    std::ostringstream log;
    spdlog::logger logger{"test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)};
    envelope around{fields{{"service.name", "x"}}};
    signal_account account;
    sender out{"traces", "http://c/v1/traces",
               [this](const body_pieces& pieces) {
                   const auto body = joined(pieces);
                   ++posts;
                   seen(body);
                   const auto records = letters(body);
                   const auto made = answers(records);
                   if (made.status >= 200 && made.status < 300) stored += records;
                   return made;
               },
               account, logger};

    /// The capital letters in it: nothing else in an envelope of "x" has any.
    static std::string letters(const std::string& body) {
        std::string all;
        for (std::size_t at = body.find("[["); at != body.npos; at = body.find("[[", at + 1)) all += body[at + 2];
        return all;
    }
    void give(const std::string& records) {
        batch made;
        for (const char c : records) {
            made.bytes += std::string("[[") + c;
            made.ends.push_back(made.bytes.size());
        }
        out.take(std::move(made));
    }
    bool work(clock::time_point now = begin) { return out.work(around, now); }
};

reply with(unsigned status, std::chrono::seconds retry_after = 0s, std::string body = {}) {
    return {.status = status, .retry_after = retry_after, .body = std::move(body), .error = {}};
}

TEST(OtlpSender, countsWhatHasBeenStored) {
    scene s;
    s.give("ABC");
    EXPECT_TRUE(s.work());
    EXPECT_EQ(s.stored, "ABC");
    EXPECT_EQ(s.account.sent.get(), 3U);
    EXPECT_TRUE(s.out.is_free());
}

TEST(OtlpSender, givesTheMemoryOfABatchThatIsGoneToTheNext) {
    scene s;
    s.give("ABC" + std::string(1'000, 'x'));
    EXPECT_EQ(s.out.spare().bytes.capacity(), std::string().capacity()) << "it is still to be sent";
    EXPECT_TRUE(s.work());
    auto next = s.out.spare();
    EXPECT_GE(next.bytes.capacity(), 3'000U);
    EXPECT_TRUE(next.empty());
    EXPECT_EQ(next.bytes, "");
    s.out.take(std::move(next));  // nothing has come
    EXPECT_GE(s.out.spare().bytes.capacity(), 3'000U);
}

TEST(OtlpSender, keepsNoMemoryThatIsRarelyNeeded) {
    scene s;
    batch made;
    made.bytes = "[[A" + std::string(sender::largest_spare, ' ');
    made.ends = {made.bytes.size()};
    s.out.take(std::move(made));
    EXPECT_TRUE(s.work());
    EXPECT_EQ(s.stored, "A");
    EXPECT_EQ(s.out.spare().bytes.capacity(), std::string().capacity());
}

TEST(OtlpSender, sendsNoRequestThatIsEmpty) {
    scene s;
    s.out.take({});
    EXPECT_TRUE(s.work());
    EXPECT_EQ(s.posts, 0U);
    EXPECT_EQ(s.out.next_try(), clock::time_point::max());
}

TEST(OtlpSender, sendsNoRequestThatIsLargerThanReceiversTake) {
    scene s;
    std::size_t largest = 0;
    batch made;
    for (char c = 'A'; c <= 'Z'; ++c) {
        made.bytes += std::string("[[") + c + std::string(batch::largest / 4, ' ');
        made.ends.push_back(made.bytes.size());
    }
    s.out.take(std::move(made));
    s.seen = [&](const std::string& body) { largest = std::max(largest, body.size()); };
    EXPECT_TRUE(s.work());
    EXPECT_EQ(s.stored, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    EXPECT_EQ(s.account.sent.get(), 26U);
    EXPECT_LT(largest, 4U * 1024 * 1024);
}

TEST(OtlpSender, takesNothingButA2xxForSuccess) {
    for (const unsigned status : {301U, 302U, 304U, 307U, 308U, 401U, 404U, 405U, 415U, 500U, 501U}) {
        scene s;
        s.answers = [&](const auto&) { return with(status, 0s, "no\nsuch page"); };
        s.give("AB");
        EXPECT_TRUE(s.work()) << status;
        EXPECT_EQ(s.posts, 1U) << "never again: " << status;
        EXPECT_EQ(s.account.rejected.get(), 2U) << status;
        EXPECT_EQ(s.account.sent.get(), 0U) << status;
        EXPECT_THAT(s.log.str(), testing::HasSubstr(std::to_string(status) + ": no.such page"));
    }
    for (const unsigned status : {200U, 202U, 204U}) EXPECT_EQ(verdict_on(with(status)), verdict::taken);
}

TEST(OtlpSender, hasWhatIsUnderWayStillWaiting) {
    scene s;
    std::vector<std::uint64_t> waiting;
    s.answers = [&](const auto& records) {
        waiting.push_back(s.account.waiting.get());
        return with(records == "AB" ? 400 : 200);
    };
    s.give("AB");
    EXPECT_EQ(s.account.waiting.get(), 2U);
    EXPECT_TRUE(s.work());
    EXPECT_EQ(waiting, (std::vector<std::uint64_t>{2, 2, 1})) << "both, the first half, the second";
    EXPECT_EQ(s.account.waiting.get(), 0U);
}

TEST(OtlpSender, doesNotAskAboutEachRecordAReceiverThatRefusesAll) {
    scene s;
    s.answers = [](const auto&) { return with(400); };
    s.give(std::string(512, 'A'));
    EXPECT_TRUE(s.work());
    EXPECT_EQ(s.account.rejected.get(), 512U);
    EXPECT_LT(s.posts, 60U);
    s.posts = 0;
    s.give(std::string(512, 'A'));
    EXPECT_TRUE(s.work());
    EXPECT_EQ(s.posts, 1U) << "nothing has been taken since";
    s.answers = [](const auto&) { return with(200); };
    s.give("B");
    EXPECT_TRUE(s.work());
    s.answers = [](const auto& records) { return with(records.find('C') == records.npos ? 200 : 400); };
    s.give("DDDDCDDD");
    EXPECT_TRUE(s.work());
    EXPECT_EQ(s.stored, "BDDDDDDD") << "one that takes others is asked again";
}

TEST(OtlpSender, triesAgainLaterWhatThe429And5xxOfTheTextPutOff) {
    for (const unsigned status : {0U, 429U, 502U, 503U, 504U}) {
        scene s;
        s.answers = [&](const auto&) { return with(status); };
        s.give("AB");
        EXPECT_FALSE(s.work()) << status;
        EXPECT_FALSE(s.out.is_free());
        EXPECT_TRUE(s.out.fails());
        const auto next = s.out.next_try();
        EXPECT_FALSE(s.work(next - 1ms));
        EXPECT_EQ(s.posts, 1U) << "it waits";
        s.answers = [](const auto&) { return with(200); };
        EXPECT_TRUE(s.work(next));
        EXPECT_EQ(s.stored, "AB");
        EXPECT_EQ(s.account.sent.get(), 2U);
        EXPECT_FALSE(s.out.fails());
    }
}

TEST(OtlpSender, pausesTwiceAsLongAfterEachFailureAndNotForEver) {
    scene s;
    s.answers = [](const auto&) { return with(503); };
    s.give("A");
    for (int nth = 0; nth < 10; ++nth) {
        const auto before = clock::now();
        s.work(clock::time_point::max());
        const auto pause = s.out.next_try() - before;
        const auto doubled = std::min<clock::duration>(sender::first_pause * (1 << nth), sender::longest_pause);
        EXPECT_GE(pause, doubled * 8 / 10) << nth;
    }
    EXPECT_EQ(s.posts, 10U);
}

TEST(OtlpSender, comesBackWhenTheReceiverHasSaid) {
    scene s;
    s.answers = [](const auto&) { return with(503, 600s); };
    s.give("A");
    const auto before = clock::now();
    s.work();
    EXPECT_GE(s.out.next_try() - before, 600s);
}

TEST(OtlpSender, doesNotSleepAtAStopForAReceiverThatAsksForMoreThanIsLeft) {
    scene s;
    s.answers = [](const auto&) { return with(503, 600s); };
    s.give("A");
    s.work();
    EXPECT_FALSE(s.out.finish(s.around, clock::now(), clock::now() + 1s));
    EXPECT_EQ(s.posts, 1U) << "asked for peace, and has it";
    EXPECT_EQ(s.account.waiting.get(), 1U);
    scene other;
    other.answers = [](const auto&) { return with(503); };
    other.give("A");
    other.work();
    other.answers = [](const auto&) { return with(200); };
    EXPECT_TRUE(other.out.finish(other.around, clock::now(), clock::now() + 1s)) << "our own pause is over";
}

TEST(OtlpSender, losesOneRecordForOneThatIsPoisoned) {
    for (std::size_t poisoned = 0; poisoned < 26; ++poisoned) {
        scene s;
        const char bad = static_cast<char>('A' + poisoned);
        s.answers = [&](const std::string& records) { return with(records.find(bad) != records.npos ? 400 : 200); };
        std::string all;
        for (char c = 'A'; c <= 'Z'; ++c) all += c;
        s.give(all);
        EXPECT_TRUE(s.work());
        EXPECT_EQ(s.account.rejected.get(), 1U) << bad;
        all.erase(poisoned, 1);
        EXPECT_EQ(std::set<char>(s.stored.begin(), s.stored.end()), std::set<char>(all.begin(), all.end()));
        EXPECT_EQ(s.stored.size(), 25U) << "each once";
        EXPECT_LE(s.posts, 12U);
    }
}

TEST(OtlpSender, halvesWhatIsTooLarge) {
    scene s;
    s.answers = [](const std::string& records) { return with(records.size() > 2 ? 413 : 200); };
    s.give("ABCDEFGH");
    EXPECT_TRUE(s.work());
    EXPECT_EQ(s.stored, "ABCDEFGH");
    EXPECT_EQ(s.account.rejected.get(), 0U);
}

TEST(OtlpSender, countsAPartialSuccessAndNeverTriesAgain) {
    scene s;
    s.answers = [](const auto&) { return with(200, 0s, std::string("\x0a\x06\x08\x02\x12\x02no", 8)); };
    s.give("ABC");
    EXPECT_TRUE(s.work());
    EXPECT_EQ(s.posts, 1U);
    EXPECT_EQ(s.account.sent.get(), 1U);
    EXPECT_EQ(s.account.rejected.get(), 2U);
    EXPECT_THAT(s.log.str(), testing::HasSubstr("of 3 traces the receiver has rejected 2: no"));
}

TEST(OtlpSender, believesNoReceiverThatHasRejectedMoreThanItGot) {
    scene s;
    s.answers = [](const auto&) { return with(200, 0s, std::string("\x0a\x03\x08\xe7\x07", 5)); };
    s.give("AB");
    s.work();
    EXPECT_EQ(s.account.rejected.get(), 2U);
    EXPECT_EQ(s.account.sent.get(), 0U);
}

TEST(OtlpSender, saysAWarningOfAReceiverThatHasTakenAll) {
    scene s;
    s.answers = [](const auto&) {
        return with(200, 0s,
                    std::string("\x0a\x04\x12\x02"
                                "hm",
                                6));
    };
    s.give("A");
    s.work();
    EXPECT_EQ(s.account.sent.get(), 1U);
    EXPECT_THAT(s.log.str(), testing::HasSubstr("rejected 0: hm"));
}

TEST(OtlpSender, saysAFailureOnceAndItsEnd) {
    scene s;
    s.answers = [](const auto&) { return reply{.error = "connect: Connection refused"}; };
    s.give("A");
    for (int nth = 0; nth < 5; ++nth) s.work(clock::time_point::max());
    s.answers = [](const auto&) { return with(200); };
    s.work(clock::time_point::max());
    const auto log = s.log.str();
    EXPECT_EQ(log.find("cannot be sent"), log.rfind("cannot be sent"));
    EXPECT_THAT(log, testing::HasSubstr("http://c/v1/traces: connect: Connection refused"));
    EXPECT_THAT(log, testing::HasSubstr("traces are sent again after 5 failures"));
}

}  // namespace
}  // namespace telemetry
