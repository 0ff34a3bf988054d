// Random orders of everything that can happen to a process that stops: signals, connections, halves of requests,
// handlers, clients that go, a sink that fails, time. The decisions are the real ones (lifecycle/stop_sequence,
// server/decision, tracker/queue) on a hand-moved clock; what carries them out is modelled here, as connection.cpp and
// done_collector.cpp do it. A failure prints the seed of its schedule; EXPLORE_SEED=n runs that one alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <list>
#include <optional>
#include <random>
#include <sstream>

#include "lifecycle/stop_sequence.hpp"
#include "server/decision.hpp"
#include "tests/support/slow_build.hpp"
#include "tracker/queue.hpp"

namespace server {
namespace {

using namespace std::chrono_literals;
using lifecycle::stop_phase;
using lifecycle::stop_sequence;
using std::chrono::milliseconds;
using time_point = stop_sequence::time_point;
using state = connection_state;
using action = decision::action;

constexpr std::uint64_t schedules = support::slow_build ? 10'000 : 100'000;
constexpr int steps_before_the_end = 60;

/// What became of requests; each that began is in exactly one column in the end.
struct columns {
    std::uint64_t begun = 0, by_handler = 0, in_its_place = 0, timed_out = 0, cut = 0, client_gone = 0;
    std::uint64_t ended() const { return by_handler + in_its_place + timed_out + cut + client_gone; }
};

/// One client and the connection that it has.
struct model {
    connection_view view;
    bool arrived = false;      ///< bytes are in the socket that the loop has not read yet
    bool whole = false;        ///< ... and with them the request is
    bool gone = false;         ///< the client has closed
    bool obedient = true;      ///< the handler ends with its context
    bool slow_client = false;  ///< the answer does not fit into the socket at once
    bool closed = false;
};

class schedule {
public:
    schedule(std::uint64_t seed, bool told)
        : told_(told), random_(seed), options_(random_options()), sequence_(options_), queue_(queue_options()) {
        sequence_.add_part("debug", lifecycle::last_share(options_));
        sequence_.add_part("tracker", options_.flush);
        sequence_.add_part("app", 0ms);
        if (!one_in(20)) sequence_.ready();
    }

    /// Runs to the end. The first broken promise, or nothing.
    std::optional<std::string> run() {
        for (int i = 0; i < steps_before_the_end && holds(); ++i) step();
        if (!sequence_.stopping()) signal();
        fair_since_ = now_;
        fair_ = true;  // from here on the loop ticks in time; handlers, clients and the sink are as they were
        for (int i = 0; i < 5'000 && !ended_ && holds(); ++i) step();
        expect(ended_, "a stop comes to its end");
        at_the_end();
        if (holds()) return std::nullopt;
        return fault_ + "\n" + history_.str();
    }

    const columns& requests() const { return requests_; }
    bool was_over() const { return over_; }
    std::uint64_t dropped() const { return queue_.account().dropped.contains("deadline") ? 1 : 0; }
    bool was_withdrawn() const { return withdrawn_; }

private:
    static constexpr std::size_t debug = 0, tracker_part = 1, app = 2;

    std::uint64_t upto(std::uint64_t most) { return random_() % (most + 1); }
    bool one_in(std::uint64_t chances) { return random_() % chances == 0; }
    bool holds() const { return fault_.empty(); }
    void expect(bool promise_holds, const char* promise) {
        if (!promise_holds && fault_.empty()) fault_ = std::string("broken: ") + promise;
    }
    template <class... Parts>
    void note(const Parts&... parts) {
        if (!told_) return;
        history_ << (now_ - time_point{1h}).count() / 1'000'000 << " ms: ";
        (history_ << ... << parts) << '\n';
    }

    lifecycle::shutdown_options random_options() {
        lifecycle::shutdown_options options;
        options.budget = milliseconds(500 + upto(5'000));
        options.lame_duck = milliseconds(one_in(2) ? 0 : upto(300));
        options.idle_grace = milliseconds(upto(200));
        options.flush = milliseconds(upto(200));
        return options;
    }
    static tracker::options queue_options() {
        tracker::options options;
        options.queue_capacity = 4;
        options.batch_events = 1;  // so that taking never waits
        options.overflow = tracker::overflow::reject;
        return options;
    }

    // ── the world ───────────────────────────────────────────────────────────────────────────────

    void step() {
        pass(fair_ ? 10ms : milliseconds(one_in(30) ? upto(2'000) : upto(40)));
        if (ended_) return;
        happen();
        if (fair_ || one_in(2)) tick();
        main_thread();
        after_each_step();
    }

    /// Time passes for everybody; main's thread wakes when it wants to, the loops may be starved.
    void pass(milliseconds gap) {
        const auto until = now_ + gap;
        for (auto next = sequence_.next_step(now_); next < until && !ended_; next = sequence_.next_step(now_)) {
            now_ = next;
            main_thread();
        }
        now_ = std::max(now_, until);
    }

    void happen() {
        auto* const one = anybody();
        switch (upto(fair_ ? 6 : 12)) {
            case 0:
                if (one != nullptr && one->view.state == state::handling && !one->view.abandoned) handler_returns(*one);
                break;
            case 1:
                if (one != nullptr && one->view.state == state::writing) written(*one);
                break;
            case 2:
                if (one != nullptr) send(*one);
                break;
            case 3: deliver(); break;
            case 4: sink_works_ = !one_in(3); break;
            case 5:
                if (one != nullptr && one_in(4)) client_goes(*one);
                break;
            case 6: read_all(); break;
            case 7:
            case 8:
            case 9: accept(); break;
            case 10:
                if (one_in(4)) signal();
                break;
            case 11:
                if (one_in(3)) sequence_.begin("debug", now_);
                break;
            case 12: withdraw(); break;
        }
    }

    model* anybody() {
        if (connections_.empty()) return nullptr;
        auto at = connections_.begin();
        std::advance(at, static_cast<std::ptrdiff_t>(upto(connections_.size() - 1)));
        return at->closed ? nullptr : &*at;
    }

    void signal() {
        note("signal");
        if (!signalled_at_) signalled_at_ = now_;
        forced_ = forced_ || (now_ - *signalled_at_ >= lifecycle::stop_sequence::one_order && sequence_.stopping());
        sequence_.signal("SIGTERM", now_);
    }

    void withdraw() {
        if (!sequence_.withdraw()) return;
        note("withdrawn");
        withdrawn_ = true;
        expect(!draining_, "what has begun to drain cannot be left");
    }

    void accept() {
        if (!listening_ || connections_.size() >= 6) return;
        note("accept");
        connections_.push_back({{state::fresh, now_, now_ + 1s, false, false, false, false}});
    }

    void send(model& one) {
        if (one.gone || one.arrived) return;
        one.arrived = true;
        one.whole = one_in(2);
        note("bytes arrive", one.whole ? ", whole" : "");
    }

    void client_goes(model& one) {
        if (one.gone) return;
        note("client goes");
        one.gone = true;
        if (one.view.state == state::handling) return;  // its handler is told at the next tick
        if (begun(one)) ++requests_.client_gone;
        one.closed = true;
    }

    // ── what connection.cpp does ────────────────────────────────────────────────────────────────

    static bool begun(const model& one) {
        return one.view.state == state::head || one.view.state == state::writing || one.view.state == state::handling;
    }

    void enter(model& one, state next, milliseconds patience) {
        one.view.state = next;
        one.view.since = now_;
        one.view.deadline = now_ + patience;
    }

    void read_all() {
        for (auto& one : connections_) read(one);
    }

    void read(model& one) {
        if (!one.arrived || one.closed) return;
        const auto in = one.view.state;
        if (in != state::fresh && in != state::idle && in != state::head) return;  // stays in the socket
        one.arrived = false;
        one.view.rests = false;
        if (in != state::head) ++requests_.begun;
        if (!one.whole) {
            if (in != state::head) enter(one, state::head, 500ms);
            return;
        }
        enter(one, state::handling, 800ms);
        one.view.told = one.view.forced = false;
        one.obedient = !one_in(5);
        one.slow_client = one_in(3);
    }

    /// The handler has recorded an event and answers 201 only when it was accepted.
    void handler_returns(model& one) {
        if (one_in(2)) {
            tracker::event event{"id", {}, "data"};
            if (queue_.try_push(event) == tracker::verdict::accepted) ++promised_;
        }
        if (one.gone) {
            ++requests_.client_gone;
            one.closed = true;
            return;
        }
        note("handler returns");
        if (one.slow_client)
            enter(one, state::writing, 700ms);
        else
            answered(one, requests_.by_handler);
    }

    void written(model& one) { answered(one, requests_.by_handler); }

    void answered(model& one, std::uint64_t& column) {
        ++(one.view.forced ? requests_.cut : column);
        if (sequence_.stopping() || one.view.forced || &column != &requests_.by_handler)
            enter(one, state::lingering, 1'000ms);
        else
            enter(one, state::idle, 2'000ms);
    }

    void look_and_close(model& one) {
        if (one.arrived) return read(one);
        one.closed = true;
    }

    void obey(model& one, decision decided, const drain_view& drain) {
        const bool over = drain.draining && now_ >= drain.over;
        switch (decided.what) {
            case action::none: return;
            case action::rest: one.view.rests = true; return;
            case action::look_and_close:
                expect(!decided.by_drain || draining_, "nobody is closed for a stop before the drain");
                expect(!decided.by_drain || now_ >= std::min(drain.idle_until, drain.over), "the idle grace is kept");
                look_and_close(one);
                return;
            case action::time_out:
                if (one.arrived) return read(one);
                one.view.forced = one.view.forced || decided.by_drain;
                answered(one, requests_.timed_out);
                break;
            case action::tell_handler:
                expect(!one.view.told || decided.by_drain, "a handler is told once by its deadline");
                one.view.told = true;
                one.view.forced = one.view.forced || decided.by_drain;
                one.view.deadline = decided.by_drain ? time_point::max() : now_ + grace_after_deadline;
                if (one.obedient) handler_returns(one);
                break;
            case action::answer:
                expect(one.view.told, "nobody is answered for whose context has not ended");
                expect(!one.obedient, "a handler that ends with its context answers for itself");
                one.view.abandoned = true;
                ++(one.view.forced ? requests_.cut : requests_.in_its_place);
                break;
            case action::cut:
                ++(decided.by_drain ? requests_.cut : requests_.timed_out);
                one.closed = true;
                break;
            case action::hang_up:
            case action::hang_up_if_acknowledged: one.closed = true; break;
        }
        expect(!decided.by_drain || over, "a request is ended for the stop only when the app gives up");
    }

    // ── what loop.cpp and http_server.cpp do ────────────────────────────────────────────────────

    void tick() {
        ++turns_;
        drain_view drain;
        if (draining_) drain = {true, drain_began_ + options_.idle_grace, sequence_.deadline(app)};
        for (auto& one : connections_) {
            if (one.closed) continue;
            obey(one, decide(one.view, drain, now_), drain);
            if (one.gone && one.view.state == state::handling && !one.view.told && !one.view.abandoned) {
                one.view.told = true;
                if (one.obedient) handler_returns(one);
            }
        }
        connections_.remove_if([](const model& one) { return one.closed; });
        if (draining_ && connections_.empty()) app_home_ = true;
    }

    void drain() {
        draining_ = true;
        drain_began_ = now_;
        listening_ = false;
    }

    // ── what event_tracker.cpp does ─────────────────────────────────────────────────────────────

    bool flush_over() const { return now_ >= sequence_.deadline(tracker_part); }

    void deliver() {
        if (queue_.depth() == 0 || (!sink_works_ && !flush_over())) return;
        tracker::batch taken(queue_options());
        queue_.take(taken);
        settle(taken);
    }

    void flush() {
        if (!queue_.closed() || tracker_home_) return;
        if (sink_works_ || flush_over())
            while (queue_.depth() > 0) deliver();
        tracker_home_ = queue_.depth() == 0;
    }

    // ── what done_collector.cpp does ────────────────────────────────────────────────────────────

    void main_thread() {
        const auto actions = sequence_.step(now_, turns_);
        for (const auto part : actions.stop) {
            note("asked: ", part);
            if (part == app) drain();
            if (part == tracker_part) queue_.close();
            if (part == debug) debug_home_ = true;
        }
        flush();
        if (app_home_) home(app);
        if (tracker_home_) home(tracker_part);
        if (debug_home_) home(debug);
        ended_ = ended_ || actions.finished || actions.over;
        over_ = over_ || actions.over;
        if (actions.finished) expect(connections_.empty(), "it is not finished while a connection is open");
        expect(!ended_ || now_ <= sequence_.end(), "it ends in its budget");
    }

    void home(std::size_t part) {
        if (reported_[part]) return;
        reported_[part] = true;
        sequence_.part_ended(part, now_);
    }

    // ── what must be true ───────────────────────────────────────────────────────────────────────

    void after_each_step() {
        const auto account = queue_.account();
        expect(account.balanced(), "the account of the events balances at every moment");
        expect(account.accepted == promised_, "every event that was promised is in the account");
        const auto open =
            static_cast<std::uint64_t>(std::count_if(connections_.begin(), connections_.end(), [](const model& one) {
                return !one.closed && begun(one) && !one.view.abandoned;
            }));
        expect(requests_.begun == requests_.ended() + open, "what has begun is answered, or still at work");
        expect(listening_ || sequence_.phase() >= stop_phase::stopping, "through the lame duck everybody is let in");
        if (draining_ && now_ < sequence_.deadline(app))
            expect(requests_.cut == cut_before_the_end_, "nobody is cut early");
        cut_before_the_end_ = requests_.cut;
        if (!fair_ || !draining_ || now_ < drain_began_ + options_.idle_grace + 20ms) return;
        for (const auto& one : connections_)
            expect(one.view.state > state::idle || one.closed,
                   "who is idle does not hold the drain beyond the idle grace");
    }

    void at_the_end() {
        const auto account = queue_.account();
        if (!over_) expect(account.queued == 0, "no event is left between two columns");
        if (fair_since_ + 40ms > sequence_.deadline(app)) return;  // the loop was starved when it mattered
        for (const auto& one : connections_) {
            if (one.closed) continue;
            expect(one.view.abandoned || one.gone, "at the deadline nobody is left without an answer");
            expect(!one.obedient, "whoever obeys is home before the budget ends");
        }
    }

    void settle(const tracker::batch& taken) {
        const bool delivered = sink_works_ && !flush_over();
        queue_.settle(taken, delivered ? tracker::outcome::delivered : tracker::outcome::given_up);
    }

    bool told_;  ///< keeps a history
    std::mt19937_64 random_;
    lifecycle::shutdown_options options_;
    stop_sequence sequence_;
    tracker::queue queue_;
    std::list<model> connections_;
    columns requests_;
    time_point now_{1h}, drain_began_{}, fair_since_{};
    std::uint64_t turns_ = 0, promised_ = 0, cut_before_the_end_ = 0;
    bool listening_ = true, draining_ = false, sink_works_ = true, fair_ = false;
    bool app_home_ = false, tracker_home_ = false, debug_home_ = false;
    bool reported_[3] = {};
    std::optional<time_point> signalled_at_;
    bool forced_ = false, withdrawn_ = false, ended_ = false, over_ = false;
    std::string fault_;
    std::ostringstream history_;
};

TEST(Stop, KeepsItsPromisesInEveryOrderExplored) {
    std::uint64_t first = 1, last = schedules;
    if (const char* seed = std::getenv("EXPLORE_SEED")) first = last = std::strtoull(seed, nullptr, 10);
    columns all;
    std::uint64_t over = 0, withdrawn = 0, dropped = 0;
    for (auto seed = first; seed <= last; ++seed) {
        schedule one(seed, false);
        if (one.run()) FAIL() << "EXPLORE_SEED=" << seed << "\n" << schedule(seed, true).run().value_or("");
        all.by_handler += one.requests().by_handler > 0;
        all.in_its_place += one.requests().in_its_place > 0;
        all.timed_out += one.requests().timed_out > 0;
        all.cut += one.requests().cut > 0;
        all.client_gone += one.requests().client_gone > 0;
        over += one.was_over();
        withdrawn += one.was_withdrawn();
        dropped += one.dropped();
    }
    if (first == last) return;
    // An exploration that does not get anywhere proves nothing.
    for (const auto seen : {all.by_handler, all.in_its_place, all.timed_out, all.cut, all.client_gone, over, withdrawn})
        EXPECT_GT(seen, schedules / 100);
    EXPECT_GT(dropped, schedules / 1'000);
}

}  // namespace
}  // namespace server
