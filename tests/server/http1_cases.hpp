#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/options.hpp"

namespace requests {

/// Bytes from a client, and what they are. `seen` is "" for one request that is accepted.
struct parser_case {
    std::string_view why;
    std::string bytes;
    std::string_view seen = {};
};

/// Limits that a test reaches without megabytes.
inline server::options small_limits() {
    server::options limits;
    limits.max_header_bytes = 400;
    limits.max_target_bytes = 60;
    limits.max_body_bytes = 64;
    limits.max_headers = 8;
    limits.strict_targets = true;  // the tables are what the RFCs say; target_test has the rest
    return limits;
}

inline std::string head(std::string_view line, std::string_view fields = {}) {
    return std::string(line) + "\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}

inline std::string post(std::string_view fields, std::string_view body) {
    return head("POST / HTTP/1.1", fields) + std::string(body);
}

inline std::string chunked(std::string_view body) { return post("Transfer-Encoding: chunked\r\n", body); }

inline std::string repeated(std::size_t times, std::string_view what) {
    std::string all;
    for (std::size_t nth = 0; nth < times; ++nth) all += what;
    return all;
}

std::vector<parser_case> refused_cases();
std::vector<parser_case> accepted_cases();

}  // namespace requests
