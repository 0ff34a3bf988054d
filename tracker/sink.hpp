#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lifecycle/context.hpp"
#include "tracker/event.hpp"
#include "tracker/options.hpp"

namespace spdlog {
class logger;
}
namespace lifecycle {
class line_writer;
}

namespace tracker {

/// What a sink throws when it will never take some events of a batch, however often they are tried, and knows which:
/// they become dead letters after `tracker.rejected_tries` tries, and the others go on without them.
class rejected_event : public std::runtime_error {
public:
    rejected_event(std::size_t index, const std::string& reason) : rejected_event(std::vector{index}, reason) {}
    rejected_event(std::vector<std::size_t> indices, const std::string& reason)
        : std::runtime_error(reason), indices_(std::move(indices)) {}
    /// In the batch, each once, rising; at least one.
    const std::vector<std::size_t>& indices() const noexcept { return indices_; }

private:
    std::vector<std::size_t> indices_;
};

/// What a sink throws when it has taken nothing of what it was given and does not know which event is at fault, if one
/// is: parts of it are tried alone (see `sieve`).
class refused : public std::runtime_error {
public:
    /// Whether the answer is about what was sent, or may be about the moment as well.
    enum class about : std::uint8_t { the_events, the_moment_or_them };
    refused(about what, const std::string& reason) : std::runtime_error(reason), what_(what) {}
    about what_of() const noexcept { return what_; }

private:
    about what_;
};

/// Where events are delivered.
///
/// Threads: `deliver` is called by one worker at a time, on the worker's thread, and may block;
/// `sync` may block too; it, `reopen` and `name` are safe from any thread.
class sink {
public:
    virtual ~sink() = default;
    sink() = default;
    sink(const sink&) = delete;
    sink& operator=(const sink&) = delete;

    /// Delivers the whole batch, or throws with the reason in one line. After a throw the batch is tried again as it is
    /// (after `refused` in parts), so lines may arrive twice but are never left out; between two tries of a batch there
    /// may be another batch if there are several workers.
    virtual void deliver(std::span<const event> batch) = 0;

    /// What has been delivered leaves the spool for good once this has returned: so it must wait until a loss of power
    /// cannot take it either, as far as the sink can do that. Throws, with the reason in one line, when some of it may
    /// be lost; the failure is told once. With durability above memory, by any thread, during a delivery too.
    virtual void sync() {}

    /// No more batches come: ends what the sink has running. Called by the part that ran the workers, after they
    /// have ended.
    virtual void finish() noexcept {}

    /// Opens files again before the next batch (log rotation). Never blocks.
    virtual void reopen() {}
    virtual std::string_view name() const noexcept = 0;

    /// How many servers have what is delivered when `deliver` returns; 0: it is not known. Any thread.
    virtual std::uint32_t copies() const noexcept { return 0; }

    /// Of `fresh` what this sink can change while it runs, such as what it proves itself by, for what it sends from now
    /// on. Never blocks; any thread.
    virtual void apply(const options& /*fresh*/) {}

    /// Called before the first batch, and again after a pause as long as it throws, so that what is wrong with a sink
    /// is known, and is over, before an event comes. By one worker at a time, never during `deliver`; may block.
    virtual void prepare() {}
    /// False while what it has to look at first cannot be read: the service is not ready. Any thread.
    virtual bool readable() const noexcept { return true; }
    /// Calls that a disk has failed, by their names. Any thread.
    virtual std::map<std::string_view, std::uint64_t> disk_errors() const { return {}; }
};

/// When everything must have been delivered; max() while there is no stop. Asked again before every try, since a second
/// signal moves it; must not throw.
using deadline_function = std::function<lifecycle::clock::time_point()>;

/// Makes a sink, which must not block beyond `deadline`, or throws std::runtime_error with one line that says what to
/// do if it cannot be made (directory not writable, locked by another process). `log` must outlive it.
using sink_maker =
    std::function<std::unique_ptr<sink>(const options& options, spdlog::logger& log, deadline_function deadline)>;
using sink_makers = std::map<std::string, sink_maker>;
using sinks = std::vector<std::shared_ptr<sink>>;

/// file, stdout and none. `output` writes to standard output for this whole process, so that no line of another is
/// inside an event; none: the sink is alone there.
sink_makers own_sinks(std::shared_ptr<lifecycle::line_writer> output = nullptr);

/// Throws std::runtime_error when `options.sinks` names one that is not in `known`.
void require_known(const options& options, const sink_makers& known);

/// Those that `options.sinks` names, in that order. Throws as the makers do, and when a name is not in `known`.
sinks make_sinks(const options& options, spdlog::logger& log, const deadline_function& deadline,
                 const sink_makers& known = own_sinks());

}  // namespace tracker
