// Random schedules of everything that can happen to a stop, and what must hold after every step. A
// failure prints the seed of its schedule; EXPLORE_SEED=n runs that one alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <random>
#include <sstream>

#include "lifecycle/stop_sequence.hpp"
#include "tests/lifecycle/stopping.hpp"
#include "tests/support/slow_build.hpp"

namespace {

using namespace std::chrono_literals;
using lifecycle::shutdown_options;
using lifecycle::stop_phase;
using lifecycle::stop_sequence;
using std::chrono::milliseconds;
using time_point = stop_sequence::time_point;

constexpr std::uint64_t schedules = support::slow_build ? 15'000 : 100'000;
constexpr int longest_schedule = 400;

/// One schedule: the sequence, a world that does things to it, and what the world remembers of it.
class schedule {
public:
    schedule(std::uint64_t seed, bool told)
        : told_(told), random_(seed), options_(random_options()), sequence_(options_) {
        const auto count = 1 + upto(4);
        for (std::uint64_t part = 0; part < count; ++part) {
            serves_.push_back(one_in(2));
            reserved_.push_back(milliseconds(serves_.back() || one_in(2) ? 0 : upto(3'000)));
            const lifecycle::share own(reserved_.back());
            sequence_.add_part("p" + std::to_string(part), serves_.back() ? lifecycle::serves_clients : own);
        }
        up_.resize(count);
        ended_.resize(count);
        asked_.resize(count);
        patience_.resize(count, time_point::max());
    }

    /// Runs to the end. The first broken promise, or nothing.
    std::optional<std::string> run() {
        for (int step = 0; step < longest_schedule && fault_.empty(); ++step) {
            happen();
            turn();
            if (stopped_ && ++after_the_end_ > 3) break;
        }
        if (fault_.empty()) return std::nullopt;
        return fault_ + "\n" + history_.str();
    }

    bool reached(stop_phase phase) const { return phase <= furthest_; }
    bool was_forced() const { return sequence_.forced(); }
    bool was_over() const { return over_; }
    unsigned withdrawals() const { return withdrawals_; }

private:
    std::uint64_t upto(std::uint64_t most) { return random_() % (most + 1); }
    bool one_in(std::uint64_t chances) { return random_() % chances == 0; }

    shutdown_options random_options() {
        shutdown_options options;
        options.budget = milliseconds(20 + upto(20'000));
        options.lame_duck = milliseconds(one_in(3) ? 0 : upto(6'000));
        options.idle_grace = milliseconds(upto(1'000));
        return options;
    }

    void expect(bool holds, const char* promise) {
        if (!holds && fault_.empty()) fault_ = std::string("broken: ") + promise;
    }
    template <class... Parts>
    void note(const Parts&... parts) {
        if (!told_) return;
        history_ << (now_ - time_point{1h}).count() / 1'000'000 << " ms: ";
        (history_ << ... << parts) << '\n';
    }

    milliseconds random_gap() {
        switch (upto(9)) {
            case 0: return milliseconds(0);
            case 1: return milliseconds(upto(one_in(5) ? 60'000 : 500));  // starved, or stopped by a debugger
            case 2: return milliseconds(upto(3'000));
            case 3:
            case 4:
            case 5: {  // exactly when it wants to be asked, as main does it
                const auto next = sequence_.next_step(now_);
                if (next == time_point::max()) return milliseconds(upto(100));
                return std::chrono::ceil<milliseconds>(std::max(next - now_, lifecycle::clock::duration::zero()));
            }
            default: return milliseconds(upto(120));
        }
    }

    void happen() {
        const auto gap = random_gap();
        now_ += gap;
        if (!one_in(4)) ++turns_;
        const bool was_stopping = sequence_.stopping();
        switch (upto(24)) {
            case 0: signal(); break;
            case 1:
            case 2: request("debug"); break;
            case 3:
                if (one_in(4)) request("upgrade");
                break;
            case 4:
            case 5: withdraw(); break;
            case 6: come_up(); break;
            case 7:
            case 8:
            case 9:
            case 10:
            case 11:
            case 12:
            case 13:
            case 14: end_a_part(); break;
            default: break;
        }
        if (!was_stopping && sequence_.stopping()) began();
    }

    void come_up() {
        const auto part = upto(ended_.size());
        if (part == ended_.size()) {
            if (!complete_) sequence_.complete(now_);
            complete_ = true;
        } else {
            up_[part] = true;
            sequence_.up(part);
        }
        bool all = complete_;
        for (std::size_t index = 0; index < up_.size(); ++index) all = all && (up_[index] || !serves_[index]);
        expect(sequence_.phase() != stop_phase::serving || all, "it serves only when all that serve are up");
        expect(sequence_.phase() != stop_phase::starting || !all, "it serves as soon as all that serve are up");
    }

    /// The part with which this one stops.
    std::size_t turn_of(std::size_t part) const {
        if (!serves_[part]) return part;
        for (auto last = serves_.size(); last-- > 0;)
            if (serves_[last]) return last;
        return part;
    }

    bool nobody_serves() const {
        for (std::size_t part = 0; part < ended_.size(); ++part)
            if (serves_[part] && !ended_[part]) return false;
        return true;
    }

    void began() {
        began_ = now_;
        end_ = now_ + options_.budget;
        lived_ = turned_ = {};
        last_step_.reset();
        warned_ = false;
        expect(sequence_.began() == now_, "a stop begins when it is asked for");
        expect(sequence_.end() <= now_ + options_.budget, "the end is not later than the budget says");
    }

    void signal() {
        note("signal");
        const auto cause = sequence_.cause();
        const bool was_stopping = sequence_.stopping();
        sequence_.signal("SIGTERM", now_);
        only_debug_ = false;
        if (!signalled_at_) signalled_at_ = now_;
        const bool later = now_ - *signalled_at_ >= stop_sequence::one_order;
        if (later && !forced_at_ && was_stopping) forced_at_ = now_;
        expect(sequence_.stopping(), "a signal begins a stop");
        expect(!was_stopping || sequence_.cause() == cause, "the first cause stays");
        expect(sequence_.forced() == forced_at_.has_value(), "a later signal forces, and nothing else");
    }

    void request(const char* cause) {
        note(cause);
        const bool was_stopping = sequence_.stopping();
        sequence_.begin(cause, now_);
        if (!was_stopping) only_debug_ = cause == std::string("debug");
        expect(sequence_.stopping(), "a request begins a stop");
    }

    void withdraw() {
        const bool may = sequence_.phase() == stop_phase::lame_duck && only_debug_;
        const bool did = sequence_.withdraw();
        note(did ? "withdrawn" : "not withdrawn");
        expect(may == did, "only a lame duck that debug alone has asked for can be left");
        if (!did) return;
        ++withdrawals_;
        expect(sequence_.phase() <= stop_phase::serving, "a withdrawal goes back to serving");
        expect(sequence_.end() == time_point::max(), "nobody has a deadline after a withdrawal");
        phase_ = sequence_.phase();
        std::fill(patience_.begin(), patience_.end(), time_point::max());
        end_ = time_point::max();
    }

    void end_a_part() {
        const auto part = upto(ended_.size() - 1);
        if (ended_[part] || (!asked_[part] && !one_in(10))) return;
        note("ends: p", part, asked_[part] ? "" : " (unasked)");
        ended_[part] = true;
        if (!asked_[part]) only_debug_ = false;
        sequence_.part_ended(part, now_);
        expect(sequence_.stopping(), "the end of a part ends the others");
    }

    bool all_ended() const { return std::count(ended_.begin(), ended_.end(), true) == std::ssize(ended_); }

    void turn() {
        const auto before = sequence_.phase();
        const auto actions = fakes::actions_of(sequence_.step(now_, turns_));
        const auto phase = sequence_.phase();
        note("step: ", to_string(phase));
        expect(phase >= phase_, "the phase goes forward only");
        expect(phase == before || before >= stop_phase::lame_duck, "a step does not begin a stop");
        phase_ = phase;
        furthest_ = std::max(furthest_, phase);

        if (before == stop_phase::lame_duck) lame_duck(phase);
        asked(actions.stop);
        expect(!(actions.warn && warned_), "it warns once a stop");
        warned_ = warned_ || actions.warn;
        expect(!actions.finished || all_ended(), "it is never finished while a part runs");
        expect(!actions.over || (!all_ended() && now_ >= sequence_.end()), "it is over only at the end");
        expect(!stopped_ || !(actions.finished || actions.over), "it is told once that the stop is over");
        over_ = over_ || actions.over;
        stopped_ = stopped_ || actions.finished || actions.over;
        expect(stopped_ == (phase == stop_phase::stopped), "stopped is finished or over");
        if (!sequence_.stopping()) return;
        deadlines();
        if (!stopped_) {
            expect(now_ < sequence_.end(), "at the end it is finished or over");
            expect(sequence_.next_step(now_) <= sequence_.end(), "the next step is due at the end at the latest");
            expect(sequence_.next_step(now_) > now_, "what has been done is not asked for again");
        }
    }

    /// How long the lame duck has lived, counted from the first step in it, without any cap on gaps.
    void lame_duck(stop_phase after) {
        const auto gap = now_ - last_step_.value_or(now_);
        lived_ += gap;
        if (turns_ != turns_at_step_) turned_ += gap;
        if (!last_step_ || gap > 0ms) turns_at_step_ = turns_;  // a turn in no time is one of the next gap
        last_step_ = now_;
        if (after == stop_phase::lame_duck) return;
        auto reserved = options_.idle_grace;
        for (const auto share : reserved_) reserved += share;
        const bool no_room = now_ >= sequence_.end() - reserved;
        if (sequence_.forced() || nobody_serves() || no_room) return;
        expect(turned_ >= options_.lame_duck || lived_ >= 2 * options_.lame_duck, "a lame duck is not cut short");
    }

    void asked(const std::vector<std::size_t>& parts) {
        for (const auto part : parts) {
            expect(!asked_[part], "a part is asked once");
            expect(!ended_[part], "who has ended is not asked");
            asked_[part] = true;
            for (std::size_t later = 0; later < ended_.size(); ++later)
                if (turn_of(later) > turn_of(part))
                    expect(ended_[later] || (asked_[later] && now_ >= sequence_.patience(later)),
                           "a part is asked only after those started later have ended or used their share");
        }
        for (const auto part : parts)
            for (std::size_t other = 0; other < ended_.size(); ++other)
                if (turn_of(other) == turn_of(part))
                    expect(asked_[other] || ended_[other], "those that serve clients are asked together");
    }

    void deadlines() {
        expect(sequence_.end() <= began_ + options_.budget, "one budget covers the whole stop");
        expect(sequence_.end() <= end_, "the end moves forward only");
        end_ = sequence_.end();
        if (forced_at_) expect(end_ <= *forced_at_ + 800ms, "a forced stop ends within 800 ms");
        for (std::size_t part = 0; part < ended_.size(); ++part) {
            const auto patience = sequence_.patience(part);
            expect(patience <= end_, "nobody may use more than the budget");
            expect(patience <= patience_[part], "nobody's share grows while it stops");
            for (std::size_t other = 0; other < ended_.size(); ++other) {
                const auto kept = forced_at_ ? 0ms : reserved_[other];
                expect(turn_of(other) >= turn_of(part) || patience <= sequence_.patience(other) - kept,
                       "the share reserved for an earlier part is out of reach for the later ones");
                expect(turn_of(other) != turn_of(part) || sequence_.deadline(other) == sequence_.deadline(part),
                       "those that serve clients have one deadline");
            }
            expect(sequence_.deadline(part) <= patience, "a part gives up before its patience ends");
            patience_[part] = patience;
        }
        lifecycle::clock::duration used{0};
        for (const auto& phase : sequence_.phases(now_)) used += phase.used;
        expect(used <= now_ - began_, "the phases do not overlap");
        const auto running = sequence_.running().size();
        expect(running == std::size_t(std::count(ended_.begin(), ended_.end(), false)), "running is who has not ended");
    }

    bool told_;  ///< keeps a history, which takes longer than all the rest
    std::mt19937_64 random_;
    shutdown_options options_;
    stop_sequence sequence_;
    std::vector<milliseconds> reserved_;
    std::vector<bool> ended_, asked_, serves_, up_;
    bool complete_ = false;
    std::vector<time_point> patience_;

    time_point now_{1h}, began_{}, end_ = time_point::max();
    std::uint64_t turns_ = 0, turns_at_step_ = 0;
    std::optional<time_point> last_step_, signalled_at_, forced_at_;
    lifecycle::clock::duration lived_{}, turned_{};
    stop_phase phase_ = stop_phase::starting, furthest_ = stop_phase::starting;
    unsigned withdrawals_ = 0;
    bool only_debug_ = false, warned_ = false, stopped_ = false, over_ = false;
    int after_the_end_ = 0;

    std::string fault_;
    std::ostringstream history_;
};

TEST(StopSequence, KeepsItsPromisesInEveryScheduleExplored) {
    std::uint64_t first = 1, last = schedules;
    if (const char* seed = std::getenv("EXPLORE_SEED")) first = last = std::strtoull(seed, nullptr, 10);
    std::uint64_t ended = 0, forced = 0, over = 0, withdrawn = 0;
    for (auto seed = first; seed <= last; ++seed) {
        schedule life(seed, false);
        if (life.run()) FAIL() << "EXPLORE_SEED=" << seed << "\n" << schedule(seed, true).run().value_or("");
        ended += life.reached(stop_phase::stopped);
        forced += life.was_forced();
        over += life.was_over();
        withdrawn += life.withdrawals() > 0;
    }
    if (first == last) return;
    // An exploration that does not get anywhere proves nothing.
    EXPECT_GT(ended, schedules / 2);
    EXPECT_GT(forced, schedules / 100);
    EXPECT_GT(over, schedules / 100);
    EXPECT_LT(over, ended * 9 / 10);
    EXPECT_GT(withdrawn, schedules / 100);
}

}  // namespace
