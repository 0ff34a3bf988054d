#pragma once

#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tracker/event.hpp"
#include "tracker/options.hpp"

namespace spdlog {
class logger;
}

namespace tracker {

/// What a sink throws when it will never take one event of a batch, however often it is tried: the event
/// becomes a dead letter after some tries, and the others go on without it.
class rejected_event : public std::runtime_error {
public:
    rejected_event(std::size_t index, const std::string& reason) : std::runtime_error(reason), index_(index) {}
    std::size_t index() const noexcept { return index_; }  ///< in the batch

private:
    std::size_t index_;
};

/// Where events go.
///
/// Threads: `deliver` is called by one worker at a time, on the worker's thread, and may block;
/// `reopen` and `name` are safe from any thread. The sink must outlive the tracker.
class sink {
public:
    virtual ~sink() = default;
    sink() = default;
    sink(const sink&) = delete;
    sink& operator=(const sink&) = delete;

    /// Delivers the batch whole, or throws with the reason in one line. What it threw at is tried again
    /// as it is, so lines may arrive twice but never not at all; between two tries of a batch there
    /// may be another one when there are several workers.
    virtual void deliver(std::span<const event> batch) = 0;

    /// Opens files again before the next batch (log rotation). Never blocks.
    virtual void reopen() {}
    virtual std::string_view name() const noexcept = 0;
};

/// The sink that `options.sink` names; `log` must outlive it. Throws std::runtime_error with one line
/// that says what to do when it cannot be had (directory not writable, locked by another process).
std::unique_ptr<sink> make_sink(const options& options, spdlog::logger& log);

}  // namespace tracker
