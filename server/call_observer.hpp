#pragma once

#include <boost/system/error_code.hpp>
#include <cstdint>
#include <string_view>

#include "lifecycle/context.hpp"
#include "server/traceparent.hpp"

namespace server {

/// A call of another server by `http_client`, while it lasts.
struct observed_call {
    std::string_view method, scheme, host, path;  ///< "GET"; "http" or "https"; the path with its query
    std::uint16_t port = 0;
    lifecycle::clock::time_point began{};
    trace_context::numbers ids = {};  ///< the span is the call's own
    bool sampled = false;
    unsigned status = 0;  ///< of its answer; 0: there is none
    boost::system::error_code error = {};
};

/// Sees each call begin and end. Safe from any thread; must not block.
class call_observer {
public:
    call_observer() = default;
    virtual ~call_observer() = default;
    call_observer(const call_observer&) = delete;
    call_observer& operator=(const call_observer&) = delete;

    /// Sets `began`, `ids` and `sampled`. `carried` is the trace of the caller, and becomes what the upstream is told.
    virtual void begin(observed_call& call, trace_context& carried) noexcept = 0;
    virtual void end(const observed_call& call) noexcept = 0;
};

}  // namespace server
