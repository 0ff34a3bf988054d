#pragma once

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

    /// What is to be done now; each step comes once. `quiet`: the connection has no stream. Some clients lose a call to
    /// the notice itself, so one that is busy gets it at a quiet moment, if there is one soon.
    step next(const drain_view& drain, bool quiet, lifecycle::clock::time_point now) noexcept {
        if (!drain.draining || done_ == step::last) return step::none;
        if (done_ == step::none) {
            if (!quiet && now < drain.began + (drain.idle_until - drain.began) / 8) return step::none;
            done_ = step::notice;
            return done_;
        }
        const bool heard = answered_at_ != lifecycle::clock::time_point{} && now >= answered_at_ + after_ping;
        if (!heard && now < drain.idle_until && now < drain.over) return step::none;
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
    step done_ = step::none;
    lifecycle::clock::time_point answered_at_{};
};

/// A limit on what costs a client nothing and us something: a number at once, a number more each second, and what is
/// given for things that cost it something too.
class allowance {
public:
    constexpr allowance(std::uint32_t at_once, std::uint32_t a_second) noexcept
        : most_(at_once), a_second_(a_second), left_(at_once) {}

    /// False: that was one too many.
    bool take(lifecycle::clock::time_point now) noexcept {
        const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(now - since_).count();
        const auto more = static_cast<std::uint64_t>(passed > 0 ? passed : 0) * a_second_ / 1'000;
        if (more > 0) {
            left_ = static_cast<std::uint32_t>(more + left_ < most_ ? more + left_ : most_);
            since_ = now;
        }
        if (left_ == 0) return false;
        --left_;
        return true;
    }
    /// It has done something of use, which goes with one more.
    void give() noexcept { left_ = left_ < most_ ? left_ + 1 : most_; }

private:
    std::uint32_t most_, a_second_, left_;
    lifecycle::clock::time_point since_{};
};

}  // namespace server::http2
