// Arbitrary traceparent and tracestate lines: what is continued is a context that would be continued again, unchanged
// but for the span. The first line is the traceparent, the others are lines of the tracestate.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <ostream>  // Beast's string view uses and does not include it
#include <string>

#include "server/request.hpp"
#include "server/traceparent.hpp"

namespace {

constexpr std::string_view our_span = "00f067aa0ba902b7";

void require(bool condition) {
    if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    server::request asked;
    for (std::string_view rest = bytes; !rest.empty();) {
        const auto line = rest.substr(0, rest.find('\n'));
        const auto* const name = asked.fields.empty() ? "traceparent" : "TraceState";
        asked.fields.push_back({server::http::field::unknown, name, line});
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    }
    const auto trace = server::continue_trace(asked, our_span);
    if (!trace) require(trace.state.empty() && trace.id().empty() && trace.span().empty() && !trace.sampled());
    if (!trace) return 0;
    require(trace.parent.size() == 55 && trace.span() == our_span);
    require(bytes.substr(3, 32) == trace.id());
    asked.fields = {{server::http::field::unknown, "traceparent", trace.parent},
                    {server::http::field::unknown, "tracestate", trace.state}};
    const auto again = server::continue_trace(asked, our_span);
    require(again.parent == trace.parent && again.state == trace.state);
    return 0;
}
