#include "server/surroundings.hpp"

#include <new>
#include <utility>

#include "lifecycle/lines.hpp"
#include "server/cpus.hpp"

namespace server {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr auto look_every = 5s;
constexpr auto unmoved = 1s;  // what adjusting slowly, adjtime(3), cannot make of five seconds
constexpr double little = 0.1;

}  // namespace

surroundings::view surroundings::now() {
    return {.quota = cgroup_quota(),
            .cpus = usable_cpus(),
            .wall = std::chrono::system_clock::now(),
            .steady = lifecycle::clock::now()};
}

surroundings::surroundings(std::string server, std::size_t loops, bool by_cpus, spdlog::logger& log, const view& first)
    : server_(std::move(server)), loops_(loops), by_cpus_(by_cpus), log_(log), last_(first) {
    if (first.quota > 0 && first.quota < little)
        lifecycle::lines(log_).warn(
            "{server}: the CPU quota is {quota} of a processor: a stop keeps its budget, but answers come late, and a "
            "probe with a timeout of one second may fail",
            server_, first.quota);
}

void surroundings::look(const view& seen) {
    const auto before = std::exchange(last_, seen);
    if (by_cpus_ && seen.cpus != before.cpus && seen.cpus != loops_)
        lifecycle::lines(log_).warn(
            "{server}: there are {cpus} processors now for {loops} loops, which stay, since no connection changes its "
            "loop; a restart adapts their number",
            server_, seen.cpus, loops_);
    const auto moved = (seen.wall - before.wall) - (seen.steady - before.steady);
    if (moved > unmoved || moved < -unmoved)
        lifecycle::lines(log_).warn(
            "{server}: the wall clock has moved by {moved_ms} ms: no deadline follows it, times in the log and of "
            "events do",
            server_, std::chrono::duration_cast<milliseconds>(moved).count());
}

void surroundings::wait(std::condition_variable_any& changed, std::unique_lock<std::mutex>& lock,
                        const std::stop_token& token, const std::function<bool()>& over) {
    while (!changed.wait_for(lock, token, look_every, over) && !token.stop_requested()) {
        lock.unlock();
        try {
            look(now());
        } catch (const std::bad_alloc&) {  // the next look comes
        }
        lock.lock();
    }
}

}  // namespace server
