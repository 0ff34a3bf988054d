#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "tracker/sink.hpp"

namespace tracker {

class publisher;

/// Every event a message of a NATS JetStream stream: published without waiting for the one before, the batch
/// delivered when all are acknowledged. `Nats-Msg-Id` is the event's id, so that within the stream's duplicate
/// window what is published again is in it once.
///
/// Connects when the first batch comes, so a broker that is away affects only this sink. The stream is looked
/// at whenever a connection has been made: created where there is none, its duplicate window held against the
/// settings. With `tracker.nats_atomic` a batch is stored whole where the stream allows it (see atomic_batches). A
/// batch waits for its acknowledgements for `tracker.nats_patience`, which should be longer than the cluster takes to
/// elect a leader (10 s), and never longer than the flush deadline less half a second, which the library takes to part
/// from a broker that hangs.
///
/// Threads: the library has some of its own from the first connection to `finish`; what they have to say is left
/// under a mutex for the worker.
class nats_sink final : public sink {
public:
    /// Connects to nothing. Throws std::runtime_error with one line when the addresses or files cannot be right.
    nats_sink(const options& options, spdlog::logger& log, deadline_function deadline);
    ~nats_sink() override;

    void deliver(std::span<const event> batch) override;
    void finish() noexcept override;
    std::string_view name() const noexcept override { return "nats"; }
    /// As many as the stream has replicas, from the first connection on.
    std::uint32_t copies() const noexcept override { return copies_.load(std::memory_order_relaxed); }

private:
    class connection;

    void say_refusal();
    void say_worth(std::uint32_t replicas, bool in_memory);

    const options all_;
    const nats_options& options_;
    spdlog::logger& log_;
    const deadline_function deadline_;
    const std::unique_ptr<publisher> publisher_;  // before the connection, whose threads call it
    bool has_seen_stream_ = false;
    std::string worth_;  ///< what was said of it last
    std::atomic<std::uint32_t> copies_{0};
    lifecycle::clock::time_point next_line_{};         ///< about the stream's settings
    lifecycle::clock::time_point next_atomic_line_{};  ///< about batches that it does not take
    std::unique_ptr<connection> connection_;
};

/// For the list of sinks that main knows.
std::unique_ptr<sink> make_nats_sink(const options& options, spdlog::logger& log, deadline_function deadline);

}  // namespace tracker
