#pragma once

#include <nats/nats.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tracker/id_set.hpp"
#include "tracker/nats/atomic_batches.hpp"
#include "tracker/nats/message.hpp"
#include "tracker/sink.hpp"

namespace tracker {

/// A batch under way: what has been published, what the broker has said of it. The worker publishes and waits,
/// the library's threads answer.
class publisher {
public:
    publisher(const options& options, const deadline_function& deadline)
        : options_(options.nats), deadline_(deadline), messages_(options) {}

    /// Blocks until every event has been acknowledged, now or when it was tried before. Throws std::exception
    /// when that is not so in time or the connection ends, rejected_event when the broker will never take some.
    /// `batches`: with it, events are stored in batches as far as they can be; null: each on its own.
    void publish(natsConnection* broker, jsCtx* stream, atomic_batches* batches, std::span<const event> batch);
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

    /// For jsOptions.PublishAsync.AckHandler, with the publisher as its closure: on a thread of the library.
    static void on_answer(jsCtx*, natsMsg* message, jsPubAck* acknowledged, jsPubAckErr* failed, void* self) noexcept;

private:
    bool over(natsConnection* broker) const;
    void publish_whole(atomic_batches& batches, std::span<const event> batch);
    void publish_whole(atomic_batches& batches, std::span<const event> batch, std::span<const std::size_t> chosen);
    void publish_one(jsCtx* stream, const event& event);
    bool fits(const event& event, std::size_t size, std::size_t more = 0) const;
    void reject(const event& event, std::string why);
    std::vector<std::size_t> not_acknowledged(std::span<const event> batch) const;
    bool open(const event& event, natsConnection* broker);
    bool wait_until_open_below(std::size_t limit, natsConnection* broker);
    void answered(std::string_view id, const jsPubAckErr* failed);
    bool note_answer(std::string_view id, const jsPubAckErr* failed);

    const nats_options options_;
    const deadline_function& deadline_;
    message_maker messages_;
    std::string refusal_;
    lifecycle::clock::time_point until_{};  ///< of the batch under way
    std::uint64_t stream_bytes_ = 0, overhead_ = 0;

    mutable std::mutex mutex_;
    std::string complaint_;
    std::condition_variable changed_;
    id_multiset open_;              ///< ids that have been published and not answered
    std::size_t wanted_below_ = 0;  ///< how many the worker waits for
    id_set acknowledged_;           ///< of the batch
    std::string failure_;           ///< the first; empty: none
    id_set rejected_;               ///< ids that the broker will never take
};

}  // namespace tracker
