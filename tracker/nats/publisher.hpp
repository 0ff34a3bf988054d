#pragma once

#include <nats/nats.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <set>
#include <span>
#include <string>

#include "tracker/sink.hpp"

namespace tracker {

/// A batch under way: what has been published, what the broker has said of it. The worker publishes and waits,
/// the library's threads answer.
class publisher {
public:
    publisher(const nats_options& options, const deadline_function& deadline)
        : options_(options), deadline_(deadline) {}

    /// Blocks until every event has been acknowledged, now or when it was tried before. Throws std::exception
    /// when that is not so in time or the connection ends, rejected_event when the broker will never take some.
    void publish(natsConnection* broker, jsCtx* stream, std::span<const event> batch);

    /// What the stream may hold in all, and what it adds to each message; 0: any number. A message that is larger would
    /// block the line for ever, or, where old ones make room, be acknowledged and be gone at once.
    void stream_holds(std::uint64_t bytes, std::uint64_t overhead) noexcept {
        stream_bytes_ = bytes;
        overhead_ = overhead;
    }

    /// The broker has said something unasked: what this user may not do. Ends the wait for what it will not answer.
    /// Safe from any thread.
    void complain(std::string what);
    /// Empty: nothing, since the last batch began.
    std::string complaint() const;
    void forget_complaint();

    /// For jsOptions.PublishAsync.AckHandler, with the publisher as its closure: on a thread of the library.
    static void on_answer(jsCtx*, natsMsg* message, jsPubAck* acknowledged, jsPubAckErr* failed, void* self) noexcept;

private:
    void publish_one(jsCtx* stream, const event& event);
    bool fits(const event& event) const;
    void reject(const event& event, std::string why);
    bool wait_until_open_below(std::size_t limit, natsConnection* broker, lifecycle::clock::time_point until);
    void answered(std::string id, const jsPubAckErr* failed);

    const nats_options& options_;
    const deadline_function& deadline_;
    std::string text_;
    std::uint64_t stream_bytes_ = 0, overhead_ = 0;

    mutable std::mutex mutex_;
    std::string complaint_;
    std::condition_variable changed_;
    std::multiset<std::string, std::less<>> open_;     ///< ids that have been published and not answered
    std::set<std::string, std::less<>> acknowledged_;  ///< of the batch
    std::string failure_;                              ///< the first; empty: none
    std::set<std::string, std::less<>> rejected_;      ///< ids that the broker will never take
};

}  // namespace tracker
