#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "lifecycle/context.hpp"
#include "server/metrics.hpp"

namespace server {

/// A quantile as a histogram allows it to be told: interpolated in its bucket, but of the first bucket nothing is known
/// than that it lies below its end, and of the last that it lies above its beginning.
struct estimate {
    enum class place : std::uint8_t { nothing, below, within, above };
    place where = place::nothing;
    double seconds = 0;  ///< `below` and `above`: the bound
};

/// Of what came between two looks at one histogram.
estimate quantile(double q, const histogram::values& now, const histogram::values& before) noexcept;

/// What the process has counted since its start, at one moment.
struct reading {
    struct route {
        std::uint64_t requests = 0, errors = 0, in_flight = 0;
        histogram::values duration;
    };

    lifecycle::clock::time_point at;
    std::vector<route> routes;  ///< by route::index
    histogram::values lag;      ///< of the loops
    std::uint64_t connections = 0, accepted = 0;
    double waiting = 0, cpu_seconds = 0, resident_bytes = 0;
};

/// The last two minutes of the process, a point a second, for the page when it is opened: what it shows is then there
/// at once, and the same in each browser. 121 points of about 140 bytes, and eleven readings of about 200 bytes a
/// route.
///
/// One thread adds, any asks; none waits for longer than a copy of these takes. Throws std::bad_alloc.
class history {
public:
    static constexpr std::chrono::milliseconds interval{1'000};
    static constexpr std::size_t span = 121;   ///< points
    static constexpr std::size_t window = 10;  ///< intervals that quantiles are of

    explicit history(std::vector<std::string> routes) : routes_(std::move(routes)) {}

    void add(reading now);

    /// A JSON object: `next` is what to ask for as `since` the next time, `age_ms` how old each point is that came
    /// since, and the columns beside it. A quantile is a number of seconds, "<" or ">" (than an end of `bounds`), or
    /// null where nothing came. `routes`: of the last ten seconds. `at` is now.
    std::string to_json(std::uint64_t since, lifecycle::clock::time_point at) const;

private:
    struct point {
        lifecycle::clock::time_point at;
        double requests = 0, errors = 0, accepted = 0, waiting = 0, cpu = 0, in_flight = 0, connections = 0;
        estimate p50, p99, lag_p50, lag_p99;
    };
    static point between(const reading& now, const reading& last, const reading& oldest);
    std::string routes_to_json() const;

    const std::vector<std::string> routes_;  ///< names
    mutable std::mutex mutex_;
    std::deque<reading> readings_;  ///< at most window + 1
    std::array<point, span> points_;
    std::uint64_t count_ = 0;  ///< of points so far
};

}  // namespace server
