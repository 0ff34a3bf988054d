// Lives of an HTTP/2 connection by seed, on the real machine and a real client: requests with and without bodies,
// resets, windows that stay shut, handlers and sources that answer, throw or take their time, and a stop at any moment.
// EXPLORE_SEED=n in the environment lives one of them, EXPLORE_LIVES=n that many.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/http2/scene.hpp"
#include "tests/support/number_from.hpp"

namespace http2_tests {
namespace {

class life {
public:
    explicit life(std::uint64_t seed) : random_(seed), good_(chance(3)), of_({}, window(), good_ || !chance(4)) {}

    void run() {
        const auto acts = 5 + below(50), stop_at = below(70);
        for (std::uint64_t act = 0; act < acts && !lost_; ++act) {
            if (act == stop_at) begin_stop();
            this->act();
            look();
        }
        if (!draining_ && !lost_) begin_stop();
        for (const auto end = of_.at().now + 21s; !of_.machine.over() && of_.at().now < end;) {
            if (good_) finish_what_is_due();
            of_.tick_after(50ms);
            look();
        }
        conclude();
    }

private:
    std::uint64_t below(std::uint64_t most) { return random_() % most; }
    bool chance(std::uint64_t in) { return below(in) == 0; }
    std::uint32_t window() {
        return good_ || chance(2) ? 65'535U : chance(4) ? 0 : static_cast<std::uint32_t>(100 + below(2'000));
    }
    std::int32_t any_of(const std::set<std::int32_t>& some) {
        return *std::next(some.begin(), static_cast<std::ptrdiff_t>(below(some.size())));
    }

    void begin_stop() {
        draining_ = true;
        const auto share = good_ ? clock::duration(20s) : std::chrono::milliseconds(below(20'000));
        over_ = of_.at().now + share;
        of_.drain(1s, share);
    }
    bool may_ask() const { return of_.client.goaways.empty(); }

    void act() {
        switch (below(good_ ? 8 : 12)) {
            case 0:
            case 1:
                if (may_ask()) sent_.insert(of_.client.get(chance(3) ? "/ticks" : chance(2) ? "/" : "/nowhere"));
                break;
            case 2:
                if (may_ask()) sent_.insert(of_.client.ask("POST", "/", {}, std::string(below(30'000), 'b')));
                break;
            case 3:
                if (!may_ask()) break;
                sent_.insert(of_.client.ask("POST", "/", {}, std::nullopt, true));
                uploading_.insert(*sent_.rbegin());
                break;
            case 4: send_piece(); break;
            case 5: of_.holds_handlers = !of_.holds_handlers; break;
            case 6: answer_one(); break;
            case 7: of_.tick_after(std::chrono::milliseconds(below(good_ ? 80 : 3'000))); break;
            case 8:
                if (!sent_.empty()) reset(any_of(sent_));
                break;
            case 9: of_.client.ping(); break;
            case 10: of_.client.holds_pings = chance(2); break;
            case 11:
                if (!chance(6)) break;
                lost_ = true;
                return of_.machine.lost(of_.at());
        }
        of_.settle();
    }
    void send_piece() {
        if (uploading_.empty()) return;
        const auto id = any_of(uploading_);
        const bool last = chance(3);
        of_.client.send_body(id, std::string(below(5'000), 'c'), last);
        if (last) uploading_.erase(id);
    }
    void reset(std::int32_t id) {
        if (of_.answer(id).ended || of_.answer(id).reset) return;
        reset_.insert(id);
        uploading_.erase(id);
        of_.client.reset(id);
    }
    /// Of the handlers and sources that work, one comes back.
    void answer_one() {
        if (of_.asked.empty()) return;
        const auto id = std::next(of_.asked.begin(), static_cast<std::ptrdiff_t>(below(of_.asked.size())))->first;
        const auto& current = of_.asked.at(id)->current;
        if (current.to->events && streaming_.contains(id))
            return of_.say(id, chance(4) ? "" : std::string(below(2'000), 'd'));
        if (current.reply.streamed() && streaming_.contains(id))
            return of_.give_piece(id, chance(3) ? 0 : below(4'000));
        if (!good_ && chance(6)) return of_.throw_out(id);
        if (current.to->events) {
            streaming_.insert(id);
            return of_.stream_events(id);
        }
        if (chance(3)) {
            streaming_.insert(id);
            return of_.reply(id, scene::streamed());
        }
        of_.reply(id);
    }
    void finish_what_is_due() {
        of_.holds_handlers = false;
        while (!uploading_.empty()) {
            of_.client.send_body(*uploading_.begin(), "the end", true);
            uploading_.erase(uploading_.begin());
            of_.settle();
        }
        while (!of_.asked.empty()) {
            const auto id = of_.asked.begin()->first;
            if (streaming_.contains(id))
                of_.give_piece(id, 0);
            else
                of_.reply(id);
        }
    }

    // The laws.

    void look() {
        if (draining_ && of_.at().now < over_) {
            EXPECT_EQ(of_.account().cut, 0U) << "nobody is cut before the app gives up";
        }
        for (const auto& [last, code] : of_.client.goaways) {
            EXPECT_EQ(code, NGHTTP2_NO_ERROR) << "another one ends all streams of some clients";
            EXPECT_TRUE(last == 0 || last % 2 == 1) << last;
        }
        for (std::size_t nth = 1; nth < of_.client.goaways.size(); ++nth)
            EXPECT_LE(of_.client.goaways[nth].last, of_.client.goaways[nth - 1].last) << "RFC 9113 section 6.8";
    }
    void conclude() {
        for (int turns = 0; turns < 20 && !(of_.asked.empty() && of_.machine.over()); ++turns) {
            finish_what_is_due();  // who has not heard returns at last
            if (!lost_) of_.tick_after(50ms);
        }
        EXPECT_TRUE(lost_ || of_.machine.over()) << "it outlives the stop, with " << of_.asked.size() << " asked";
        of_.machine.end();
        const auto account = of_.account();
        EXPECT_EQ(account.began, account.finished + account.cut + account.gone) << "the account of its requests";
        EXPECT_EQ(of_.stragglers, 0) << "all have returned";
        const auto ended = account.ended + account.ended_by_us + account.cut_stream;
        EXPECT_LE(ended, account.told) << "a stream that was told ends once";
        if (reset_.empty() && !lost_) {
            EXPECT_EQ(ended, account.told) << "each stream that was told ends in one column";
        }
        if (lost_) return;
        const auto last = of_.client.goaways.empty() ? 0 : of_.client.goaways.back().last;
        for (const auto id : sent_) {
            const auto& answer = of_.answer(id);
            if (id > last) {
                EXPECT_EQ(answer.status, 0) << "stream " << id << " never began";
                continue;
            }
            if (reset_.contains(id)) continue;
            EXPECT_TRUE(answer.ended || answer.reset)
                << "stream " << id << " is answered, or cut so that it is seen; status " << answer.status << ", "
                << answer.body.size() << " bytes";
            if (!good_) continue;
            EXPECT_TRUE(answer.ended && !answer.reset) << "stream " << id;
            EXPECT_LT(answer.status, 500) << "stream " << id;
        }
        if (good_) {
            EXPECT_EQ(account.cut + account.gone, 0U);
        }
    }

    std::mt19937_64 random_;
    const bool good_;  ///< its client keeps to the protocol and reads, its handlers answer within the idle grace
    scene of_;
    std::set<std::int32_t> sent_, uploading_, reset_, streaming_;
    clock::time_point over_{};  ///< when the app gives up
    bool draining_ = false, lost_ = false;
};

TEST(Http2, KeepsItsPromisesInEveryLifeThatASeedMakes) {
    const auto only = support::number_from("EXPLORE_SEED", 0), lives = support::number_from("EXPLORE_LIVES", 5'000);
    for (auto seed = only > 0 ? only : 1; seed <= (only > 0 ? only : lives) && !HasFailure(); ++seed) {
        SCOPED_TRACE(fmt::format("EXPLORE_SEED={}", seed));
        EXPECT_NO_THROW(life(seed).run());
    }
}

}  // namespace
}  // namespace http2_tests
