#pragma once

#include <nats/nats.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "tracker/nats/message.hpp"

#include "tracker/sink.hpp"

namespace tracker {

/// Batches that a stream with `allow_atomic` stores whole or not at all (nats-server from 2.12 on, its ADR-50): told by
/// headers, since cnats has no call for them, and acknowledged once. A server that syncs before it acknowledges does so
/// four times for a batch, and not once for each message.
///
/// Lives as long as the connection it is made for. Only on the worker's thread.
class atomic_batches {
public:
    /// No server takes more in one (10199); it may be set to take fewer, and then refuses.
    static constexpr std::size_t most = 1'000;
    /// Fewer are not worth the four syncs.
    static constexpr std::size_t fewest = 5;

    /// `given_up` is asked every few milliseconds; true ends the wait. Throws std::runtime_error.
    atomic_batches(natsConnection* broker, const options& options, std::function<bool()> given_up);
    ~atomic_batches();
    atomic_batches(const atomic_batches&) = delete;
    atomic_batches& operator=(const atomic_batches&) = delete;

    /// More than what is in front of a message comes to, besides what the names in it are long.
    static constexpr std::size_t headers = 256;

    /// Whether a message of `text` bytes may be in a batch at all: one that the server will not take spoils it for all
    /// others. Where this says no, the answer to that message alone tells more.
    bool may_hold(const event& event, std::size_t text) const noexcept;

    /// What is published together, of the events of `batch` the ones at `chosen`, at most `most`, no id twice. Blocks
    /// until the broker has answered. Empty: the stream has all of them; otherwise why it has refused them: nothing of
    /// them is in it now that was not before. Throws std::runtime_error when there is no answer; then they may be.
    std::string publish(std::span<const event> batch, std::span<const std::size_t> chosen);

private:
    void send(const event& event, std::size_t sequence, bool last);
    std::string wait_for_answer(std::size_t messages);

    natsConnection* const broker_;
    const nats_options options_;
    message_maker messages_;
    const std::function<bool()> given_up_;
    std::string inbox_;
    natsSubscription* answers_ = nullptr;
    std::string id_, number_;
};

}  // namespace tracker
