#pragma once

#include <string>
#include <string_view>

namespace server {

struct request;

/// The trace that a request is part of (W3C Trace Context, Level 2), as a handler hands it on: with a span id of our
/// own. The skeleton records no spans; whoever does replaces `parent` by what its tracer makes of it. Empty when
/// nobody has asked for a trace: none is begun here.
struct trace_context {
    std::string parent;  ///< goes as `traceparent` to whom this request's handler calls
    std::string state;   ///< ... as `tracestate`, unless it is empty

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

}  // namespace server
