#include "server/net/closing_listener.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace server {

using lifecycle::clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds scheduling{5};  // of both sides, beside the way

}  // namespace

void round_trips::add(microseconds measured, clock::time_point now) noexcept {
    if (now - began_ >= window) {
        // Two windows, so that the slowest is not forgotten at the moment when a new window begins.
        before_ = now - began_ < 2 * window ? now_ : microseconds(0);
        now_ = microseconds(0);
        began_ = now;
    }
    assert(measured.count() >= 0);
    now_ = std::max(now_, measured);
    last_ = now;
}

microseconds round_trips::slowest(clock::time_point now) const noexcept {
    if (!any(now)) return microseconds(0);
    return now - began_ < window ? std::max(now_, before_) : now_;
}

closing_listener::closing_listener(microseconds slowest, milliseconds patience, bool others,
                                   clock::time_point now) noexcept
    // A quarter more than the slowest seen: the next one may be slower.
    : round_trip_(slowest + slowest / 4 + scheduling), end_(now + patience), others_(others) {
    go(phase::let_in, round_trip_ / 2, now);
}

void closing_listener::go(phase to, clock::duration lasts, clock::time_point now) noexcept {
    phase_ = to;
    until_ = now + lasts;
    came_ = false;
}

auto closing_listener::next(bool somebody_came, clock::time_point now) noexcept -> step {
    // Whatever phase it is in: the drain waits for nothing longer than its patience.
    if (now >= end_) return step::over;
    came_ = came_ || somebody_came;
    if (now < until_) return step::wait;
    switch (phase_) {
        case phase::let_in: go(phase::turned_away, round_trip_, now); return step::turn_away;
        case phase::turned_away:
            // Without others there is only one socket that newcomers can be refused at.
            if (!others_) return step::over;
            go(phase::watched, round_trip_ / 2, now);
            return step::wait;
        case phase::watched:
            assert(others_ && "there is another socket to send them to");
            if (!came_ || std::exchange(again_, true)) return step::over;
            go(phase::turned_away, round_trip_, now);
            return step::turn_away_again;
    }
    return step::over;
}

}  // namespace server
