#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "tracker/utf8.hpp"

namespace tracker {

/// One thing that happened, as a handler records it.
struct event {
    std::string id;  ///< by which duplicates are recognised: 1-128 characters of [A-Za-z0-9._:-]; empty: one is made
    std::chrono::system_clock::time_point time = std::chrono::system_clock::now();
    std::string data;  ///< UTF-8, may be empty
};

/// Appends `{"id":"…","time":"RFC 3339, µs","data":"…"}` without a line end to `out`. What is not
/// UTF-8 becomes U+FFFD, a byte at a time, so that the line is valid JSON whatever was recorded.
void append_json(std::string& out, const event& event);

/// A fresh id, unique across threads, processes and restarts: 26 characters, sorted by time like a
/// ULID. Safe from any thread; not across a fork without exec.
std::string make_id();

}  // namespace tracker
