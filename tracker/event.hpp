#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "tracker/event_headers.hpp"
#include "tracker/utf8.hpp"

namespace tracker {

/// One thing that happened, as a handler records it.
struct event {
    std::string id;  ///< by which duplicates are recognised: 1-128 characters of [A-Za-z0-9._:-]; empty: one is made
    std::chrono::system_clock::time_point time = std::chrono::system_clock::now();
    std::string data;            ///< UTF-8, may be empty
    event_headers headers = {};  ///< of its message, where the sink has such and the settings want them
};

/// Appends `{"id":"…","time":"RFC 3339, µs","data":"…"}` without a line end to `out`, and in it, last, where the event
/// has headers, `,"headers":{"name":"value",…}`. What is not
/// UTF-8 becomes U+FFFD, a byte at a time, so that the line is valid JSON whatever was recorded.
void append_json(std::string& out, const event& event);

/// RFC 3339, in UTC, with microseconds.
void append_time(std::string& out, std::chrono::system_clock::time_point time);

/// What its id, data and headers come to in memory and in a spool, as `tracker.queue_bytes` counts them.
inline std::size_t bytes_of(const event& event) noexcept {
    return event.id.size() + event.data.size() + event.headers.bytes();
}

/// A fresh id, unique across threads, processes and restarts: 26 characters, sorted by time like a
/// ULID. Safe from any thread; not across a fork without exec.
std::string make_id();

}  // namespace tracker
