#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "tracker/kafka/messages.hpp"
#include "tracker/sink.hpp"

namespace tracker {

/// Every event a message of a Kafka topic, its id the key, its line the value; the batch is delivered when all replicas
/// in sync have acknowledged each of them. The producer is idempotent: within its life there are no duplicates, and the
/// order is kept.
///
/// Connects when the first batch comes. A message that waits for its acknowledgement goes on to wait whatever `deliver`
/// says meanwhile, and is not sent again: the next try of its event waits for the same one. So after `patience`, or at
/// once when no broker can be reached, it throws so that the log says so, and no outage makes duplicates. What is in
/// the library's queue is what the tracker has given last, never more than a batch.
///
/// Kafka reports the error of one message for all that were in one batch of its protocol. So nothing is buried by such
/// a word (too large, invalid record, invalid timestamp) but what was sent alone; see `refused`.
///
/// An event may be in the topic twice when the producer ended in between: over a restart, and after a fatal error.
///
/// Threads: the library has some of its own from the first batch to `finish`; its callbacks run on the worker's.
class kafka_sink final : public sink {
public:
    static constexpr std::chrono::milliseconds usual_patience{5'000};

    /// Connects to nothing. Throws std::runtime_error with one line when the settings cannot be right.
    kafka_sink(const options& options, deadline_function deadline, std::chrono::milliseconds patience = usual_patience);
    ~kafka_sink() override;

    void deliver(std::span<const event> batch) override;
    void finish() noexcept override;
    std::string_view name() const noexcept override { return "kafka"; }

private:
    class producer;
    const options options_;
    const deadline_function deadline_;
    const std::chrono::milliseconds patience_;
    messages messages_;  ///< of what has not been delivered whole; outlives the producer
    std::unique_ptr<producer> producer_;
};

/// For the list of sinks that main knows.
std::unique_ptr<sink> make_kafka_sink(const options& options, spdlog::logger& log, deadline_function deadline);

}  // namespace tracker
