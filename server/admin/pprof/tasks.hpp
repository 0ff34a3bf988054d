#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/admin/debug.hpp"
#include "server/loop.hpp"
#include "server/router.hpp"

namespace server::pprof {

/// What is alive, and what owns it, from the innermost owner: a loop, its part, main.
struct live_task {
    std::vector<std::string> owners;
    task_row row;
    std::optional<std::chrono::milliseconds> left = {};  ///< until its deadline, when it has one
    pid_t wedged = 0;  ///< the thread of a loop that does not answer: what it was entered for last is all that is known
};

using loop_reports = std::vector<http_server::loop_report>;

/// Asks each loop of the app what is alive on it, with a time limit.
lifecycle::awaitable<loop_reports> ask_loops(const debug_sources& from);

/// The coroutines of the loops that have answered, and one task for each that has not.
std::vector<live_task> tasks_of(const debug_sources& from, const loop_reports& loops);

/// `GET /debug/pprof/goroutine`: those and the threads, under the name that users of `go tool pprof` look for. Without
/// more a profile for it; `?debug=1` alike ones counted, `?debug=2` one by one, as Go has it.
handler goroutine(std::shared_ptr<const debug_sources> from);

}  // namespace server::pprof
