#pragma once

#include <nats/nats.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tracker/id_set.hpp"
#include "tracker/nats/answers.hpp"
#include "tracker/nats/atomic_batches.hpp"
#include "tracker/nats/message.hpp"
#include "tracker/sink.hpp"

namespace tracker {

/// A batch under way: what has been published, what the broker has said of it. On the worker's thread but for
/// `complain`.
class publisher {
public:
    publisher(const options& options, const deadline_function& deadline)
        : options_(options.nats), deadline_(deadline), messages_(options) {}

    /// Blocks until every event has been acknowledged, now or when it was tried before. Throws std::exception
    /// when that is not so in time or the connection ends, rejected_event when the broker will never take some.
    /// `batches`: with it, events are stored in batches as far as they can be; null: each on its own.
    void publish(natsConnection* broker, answers& answers, atomic_batches* batches, std::span<const event> batch);
    /// Whether nobody waits for the broker any more: no time is left, it has gone, or it has complained.
    bool given_up(natsConnection* broker) const;

    /// What the stream may hold in all, and what it adds to each message; 0: any number. A message that is larger would
    /// block the line for ever, or, where old ones make room, be acknowledged and be gone at once.
    void stream_holds(std::uint64_t bytes, std::uint64_t overhead) noexcept {
        stream_bytes_ = bytes;
        overhead_ = overhead;
    }

    /// Why the stream has refused a batch since this was asked last; its messages went one by one. Empty: it has not.
    std::string refusal() { return std::exchange(refusal_, {}); }

    /// The broker has said something unasked: what this user may not do. Ends the wait for what it will not answer.
    /// Safe from any thread.
    void complain(std::string what);
    /// Empty: nothing, since the last batch began.
    std::string complaint() const;
    void forget_complaint();

private:
    /// Of each event of the batch. What waits has not been published, or not been stored.
    enum class fate : std::uint8_t { waits, under_way, acknowledged, rejected };

    void publish_whole(atomic_batches& batches, std::span<const event> batch);
    bool publish_whole(atomic_batches& batches, std::span<const event> batch, std::span<const std::size_t> chosen);
    bool publish_each(natsConnection* broker, answers& answers, std::span<const event> batch);
    void publish_one(natsConnection* broker, answers& answers, std::span<const event> batch, std::size_t index);
    bool fits(const event& event, std::size_t size, std::size_t more = 0) const;
    void reject(std::size_t index, std::string why);
    void throw_what_is_wrong() const;
    void keep_acknowledged(std::span<const event> batch);
    bool wait_until_under_way_below(std::size_t limit, natsConnection* broker, answers& answers);
    void take_answer(answers& answers, std::chrono::milliseconds at_most);
    void note_answer(std::uint64_t number, std::string_view text);

    const nats_options options_;
    const deadline_function& deadline_;
    message_maker messages_;
    std::string refusal_;
    lifecycle::clock::time_point until_{};  ///< of the batch under way
    std::uint64_t stream_bytes_ = 0, overhead_ = 0;

    std::vector<fate> fates_;
    std::uint64_t first_ = 0;    ///< number of the batch's first message: no two messages have the same
    std::size_t under_way_ = 0;  ///< how many of `fates_` are
    std::string failure_;        ///< the first; empty: none
    id_set acknowledged_;        ///< of a batch that could not be delivered whole

    mutable std::mutex mutex_;
    std::string complaint_;
};

}  // namespace tracker
