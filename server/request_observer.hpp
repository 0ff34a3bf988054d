#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace server {

struct answer_row;
struct request;

/// Sees each request of one loop begin and end. Only on that loop's thread, so it must not block; made before it runs
/// and destroyed after it.
class request_observer {
public:
    request_observer() = default;
    virtual ~request_observer() = default;
    request_observer(const request_observer&) = delete;
    request_observer& operator=(const request_observer&) = delete;

    /// Its head has arrived, and no handler has been called. Sets the trace that it is part of, which is empty.
    /// `traced`: it has a traceparent.
    virtual void begin(request& asked, bool traced) noexcept = 0;
    /// Its answer stands, as metrics and access log have it; `row.of` is not nullptr.
    virtual void end(const answer_row& row) noexcept = 0;
};

/// One for each loop, by its number.
using request_observers = std::function<std::unique_ptr<request_observer>(std::size_t loop)>;

}  // namespace server
