#include "server/loop/stall_watch.hpp"

#include <ctime>
#include <utility>

namespace server {

using lifecycle::clock;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds between_findings{1'000};

std::chrono::nanoseconds cpu_time_of_thread() {
    timespec used;
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace

std::optional<stall_watch::finding> stall_watch::look(clock::duration lag, clock::time_point now) {
    const auto computed = cpu_time_of_thread();
    auto by = std::exchange(by_, {});
    const auto used = computed - std::exchange(computed_, computed);
    if (by.empty() || lag < standstill || now < next_finding_) return std::nullopt;
    next_finding_ = now + between_findings;
    return finding{
        .lasted = duration_cast<milliseconds>(lag), .computed = duration_cast<milliseconds>(used), .by = std::move(by)};
}

}  // namespace server
