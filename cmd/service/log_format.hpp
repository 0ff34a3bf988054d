#pragma once

#include <chrono>
#include <string>
#include <string_view>

/// How a line of the log looks, as text or as JSON. Safe from any thread.
class log_format {
public:
    explicit log_format(bool json) : json_(json) {}

    /// Appends a line and its end. What `text` has of control characters and broken UTF-8 is escaped: it came from
    /// outside and must not look like a line of ours, nor move a terminal's cursor. Allocates for `out` alone.
    void append(std::string& out, std::chrono::system_clock::time_point time, std::string_view level,
                std::string_view text) const;

private:
    bool json_;
};
