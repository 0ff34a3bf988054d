#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "server/decision.hpp"

namespace server::http2 {

/// The two steps by which a client is told to go (RFC 9113 section 6.8): first that it should, by a GOAWAY that names
/// no stream; then, when what it sent before it could know has come, which stream was the last. Streams above that one
/// never began, and clients repeat them elsewhere. A clock's values in, steps out.
///
/// Not before the drain: while the listener accepts, a client that is told comes back to it at once, without back-off,
/// hundreds of times a second.
class goodbye {
public:
    enum class step : std::uint8_t {
        none,
        notice,  ///< GOAWAY(2^31-1) and a PING
        last     ///< GOAWAY with the last stream that has been taken; no other is from here on
    };
    /// A client whose round trip is known has had this long for what it sent meanwhile: some send from a thread other
    /// than the one that answers a PING.
    static constexpr std::chrono::milliseconds after_ping{100};

    /// ... and a client whose first stream began in the drain, so that the idle grace may be over, this long at most
    /// after the notice.
    static constexpr std::chrono::milliseconds longest_of_newcomer{1'000};

    /// Until then the first stream of a new client is awaited: it has shaken hands, and some take long to send what
    /// comes with the end of that.
    void await_first(lifecycle::clock::time_point until) noexcept { awaited_ = until; }
    void await_no_longer(lifecycle::clock::time_point until) noexcept { awaited_ = std::min(awaited_, until); }
    /// A stream has begun.
    void begun(lifecycle::clock::time_point now) noexcept {
        if (first_at_ == lifecycle::clock::time_point{}) first_at_ = now;
    }
    /// What is to be done now; each step comes once. `quiet`: the connection has no stream. Some clients lose a call to
    /// the notice itself, so one that is busy gets it at a quiet moment, if there is one soon, and one that is new with
    /// its first answer.
    step next(const drain_view& drain, bool quiet, lifecycle::clock::time_point now) noexcept {
        if (!drain.draining || done_ == step::last) return step::none;
        if (done_ == step::none) {
            if (now < drain.over && awaits(drain, quiet, now)) return step::none;
            done_ = step::notice;
            noticed_at_ = now;
            return done_;
        }
        const bool heard = answered_at_ != lifecycle::clock::time_point{} && now >= answered_at_ + after_ping;
        const auto until =
            first_at_ > drain.began ? std::max(drain.idle_until, noticed_at_ + longest_of_newcomer) : drain.idle_until;
        if (!heard && now < until && now < drain.over) return step::none;
        done_ = step::last;
        return done_;
    }
    /// The PING has come back.
    void answered(lifecycle::clock::time_point now) noexcept {
        if (done_ == step::notice && answered_at_ == lifecycle::clock::time_point{}) answered_at_ = now;
    }
    /// It has been told by other means, and is not told again.
    void skip() noexcept { done_ = step::last; }
    bool told_last() const noexcept { return done_ == step::last; }

private:
    bool awaits(const drain_view& drain, bool quiet, lifecycle::clock::time_point now) const noexcept {
        if (first_at_ == lifecycle::clock::time_point{} && now < awaited_) return true;
        return !quiet && now < std::max(drain.began, first_at_) + (drain.idle_until - drain.began) / 8;
    }

    step done_ = step::none;
    lifecycle::clock::time_point answered_at_{}, noticed_at_{};
    lifecycle::clock::time_point awaited_{}, first_at_{};
};

/// When a connection tells its client to go: in a drain, and when it has had as many requests as one may, which is a
/// drain of its own.
class departure {
public:
    /// How long one that has had its requests waits for the PING.
    static constexpr std::chrono::milliseconds longest{1'000};

    /// It has had as many requests as one connection may; the next tick sees to it.
    void begin(lifecycle::clock::time_point now) noexcept { since_ = now; }
    /// At each tick.
    void see(const drain_view& drain) noexcept {
        drain_ = drain;
        if (!drain.draining && since_ != lifecycle::clock::time_point{})
            drain_ = {.draining = true, .began = since_, .idle_until = since_ + longest};
    }
    /// As goodbye has it.
    goodbye::step next(bool quiet, lifecycle::clock::time_point now) noexcept {
        return drain_.draining ? steps_.next(drain_, quiet, now) : goodbye::step::none;
    }
    void answered(lifecycle::clock::time_point now) noexcept { steps_.answered(now); }
    void await_first(lifecycle::clock::time_point until) noexcept { steps_.await_first(until); }
    void await_no_longer(lifecycle::clock::time_point until) noexcept { steps_.await_no_longer(until); }
    void begun(lifecycle::clock::time_point now) noexcept { steps_.begun(now); }
    void skip() noexcept { steps_.skip(); }
    bool told_last() const noexcept { return steps_.told_last(); }

private:
    goodbye steps_;
    drain_view drain_;  ///< as it was at the last tick
    lifecycle::clock::time_point since_{};
};

}  // namespace server::http2
