#pragma once

#ifdef TRACE
#include "cmd/service/trace/tracing.hpp"
#else

/// Who notes what happens when, while somebody wants to know. Without a module that is nobody; cmd/service/trace has
/// the other one, with the same interface.
struct tracing {
    auto around(auto it, const auto&...) const { return it; }
};

#endif
