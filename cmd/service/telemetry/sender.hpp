#pragma once

#include <spdlog/logger.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "cmd/service/telemetry/plan.hpp"
#include "cmd/service/telemetry/request_body.hpp"
#include "lifecycle/context.hpp"
#include "server/metrics.hpp"

namespace telemetry {

/// What a receiver has answered, or why there is no answer.
struct reply {
    unsigned status = 0;                  ///< 0: there is none
    std::chrono::seconds retry_after{0};  ///< 0: it has not said
    std::string body = {};
    std::string error = {};  ///< without an answer
};

/// Posts one body, compressed or not as it is; blocks, but not beyond its own deadline. Throws nothing.
using post_function = std::function<reply(const body_pieces& body)>;

/// What becomes of a request by its answer (opentelemetry.io/docs/specs/otlp, "OTLP/HTTP Response"). 3xx is none of
/// success: a receiver that has moved has not stored anything.
enum class verdict : std::uint8_t { taken, later, halve, never };
verdict verdict_on(const reply& answer) noexcept;

/// What has become of the records of one signal. Any thread reads.
struct signal_account {
    server::counter sent, rejected;
    server::counter waiting;  ///< what its sender has, what is under way too
};

/// Sends the records of one signal, a batch at a time, and keeps what is to be tried again. A receiver takes a request
/// whole or not at all, so one bad record costs its batch: what is refused by 400 or 413 is halved until only the bad
/// one is left, and so is, beforehand, what is larger than `batch::largest`. After `most_alone` that were refused
/// alone, with nothing taken in between, it is the receiver: then what it refuses is given up whole, or each record
/// would be a request. On one thread.
class sender {
public:
    static constexpr std::chrono::milliseconds first_pause{1'000}, longest_pause{30'000};
    static constexpr std::chrono::milliseconds between_lines{10'000};
    static constexpr std::uint64_t most_alone = 16;
    static constexpr std::size_t largest_spare = 1'000'000;  ///< bytes: a batch that is larger is rare, and freed

    /// `signal` and `url` are for lines in the log; all that is given outlives this.
    sender(std::string signal, std::string url, post_function post, signal_account& account, spdlog::logger& log);

    /// For the next batch: empty, with the memory of one that is gone.
    batch spare() noexcept { return std::exchange(spare_, {}); }
    /// Takes over a batch. Only when it `is_free`.
    void take(batch records);
    bool is_free() const noexcept { return parts_.empty(); }
    /// Tries what it has, if it is time to, until it is gone or `now` says that there is nothing to be done for now:
    /// later or never. `encode` makes a body of records. True: all is gone.
    bool work(const envelope& around, lifecycle::clock::time_point now);
    /// The same at a stop: whatever pause there was to be is over, but for one that the receiver has asked for and
    /// that is longer than there is time.
    bool finish(const envelope& around, lifecycle::clock::time_point now, lifecycle::clock::time_point until);

    /// max(): it has nothing to do.
    lifecycle::clock::time_point next_try() const noexcept;
    /// The last try has come to nothing.
    bool fails() const noexcept { return failures_ > 0; }
    const std::string& last_error() const noexcept { return last_error_; }

private:
    bool attempt(const envelope& around);
    bool halve(batch& first);
    void keep(batch done) noexcept;
    void taken(const batch& part, const reply& answer);
    void put_off(const reply& answer);
    void give_up(const batch& part, const reply& answer);
    bool may_say();

    const std::string signal_, url_;
    const post_function post_;
    signal_account& account_;
    spdlog::logger& log_;
    std::deque<batch> parts_;  ///< of one batch, the first is next
    batch spare_;
    std::string head_;  ///< of the body that is being posted
    std::uint64_t failures_ = 0;
    std::uint64_t refused_alone_ = 0;  ///< one after the other
    bool asked_to_wait_ = false;       ///< by Retry-After
    lifecycle::clock::time_point not_before_{}, next_line_{};
    std::string last_error_;
};

}  // namespace telemetry
