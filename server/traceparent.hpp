#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace server {

struct request;

/// The trace that a request is part of (W3C Trace Context, Level 2), as a handler hands it on: with a span id of our
/// own. Empty when the request has no trace and no `request_observer` begins one.
struct trace_context {
    /// The ids as numbers, the first digit the most significant.
    struct numbers {
        std::uint64_t high = 0, low = 0;  ///< of the trace
        std::uint64_t span = 0;           ///< of our part
        std::uint64_t caller = 0;         ///< the span that ours is a child of; 0: ours is the first
    };

    std::string parent;  ///< goes as `traceparent` to the services that this request's handler calls
    std::string state;   ///< ... as `tracestate`, unless it is empty
    numbers ids = {};    ///< only where a `request_observer` has filled them in

    explicit operator bool() const noexcept { return !parent.empty(); }
    std::string_view id() const noexcept { return part(3, 32); }     ///< 32 hexadecimal digits; empty without a trace
    std::string_view span() const noexcept { return part(36, 16); }  ///< 16, of our part
    bool sampled() const noexcept { return part(54, 1) == "1" || part(54, 1) == "3"; }

private:
    std::string_view part(std::size_t at, std::size_t size) const noexcept {
        return parent.empty() ? std::string_view() : std::string_view(parent).substr(at, size);
    }
};

/// From the fields of a request; `span` are 16 hexadecimal digits, not all of them 0.
trace_context continue_trace(const request& from, std::string_view span);
/// The same, in memory that is there. The span that it came with, 16 digits; empty when `into` is, for it is no trace.
std::string_view continue_trace(const request& from, std::string_view span, trace_context& into);

}  // namespace server
