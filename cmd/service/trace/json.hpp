#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cmd/service/trace/recorder.hpp"

namespace trace {

using argument = std::pair<std::string_view, std::string>;

/// Time in which a thread did one thing.
struct slice {
    pid_t thread;
    std::string_view category;
    std::string name;
    lifecycle::clock::time_point since, until;
    std::vector<argument> arguments = {};
};

/// Something that has happened at one moment.
struct moment {
    pid_t thread;
    std::string_view category;
    std::string name;
    lifecycle::clock::time_point when;
    std::vector<argument> arguments = {};
};

/// A trace in the Trace Event Format (Google, "Trace Event Format", 2016), the JSON that ui.perfetto.dev and
/// chrome://tracing open. Requests and the handlers in them are nestable asynchronous events, since a loop has many at
/// a time; moments are instants of the process, everything else are complete events of a thread. Times are microseconds
/// of steady_clock. A value.
class json {
public:
    void name_thread(pid_t id, std::string_view name);
    void add(const slice& slice);
    void add(const moment& moment);
    /// What one thread has recorded, in its order.
    void add(pid_t thread, std::span<const record> records);
    /// `lost`: how many events are not in it.
    std::string take(std::uint64_t lost);

private:
    using time_point = lifecycle::clock::time_point;
    void event(char phase, std::string_view category, std::string_view name, pid_t thread, time_point when,
               std::string_view rest);
    void request(pid_t thread, const record* handled, const record* answered);

    std::string text_;
    std::uint64_t requests_ = 0;
};

}  // namespace trace
