#include "cmd/service/trace/recorder.hpp"

#include <unistd.h>

namespace trace {

void recorder::begin(const std::vector<pid_t>& threads) {
    for (auto& one : buffers_)  // of a thread that has ended: somebody else's
        if (std::ranges::find(threads, one.thread.load(std::memory_order_relaxed)) == threads.end())
            one.thread.store(0, std::memory_order_relaxed);
    for (const auto thread : threads) {
        const auto has = [](const buffer& one) { return one.thread.load(std::memory_order_relaxed); };
        if (std::ranges::find(buffers_, thread, has) != buffers_.end()) continue;
        const auto free = std::ranges::find(buffers_, 0, has);
        if (free == buffers_.end()) break;
        free->records.reserve(most_records);
        free->thread.store(thread, std::memory_order_release);
    }
    lost_.store(0, std::memory_order_relaxed);
    round_.store(++rounds_, std::memory_order_release);
}

/// A thread that comes late writes behind what has been published, so nobody reads it; where it writes it says first
/// thing in the next round.
void recorder::add(const record& one) noexcept {
    const auto round = round_.load(std::memory_order_acquire);
    if (round == 0) return;
    thread_local const pid_t self = ::gettid();
    const auto mine =
        std::ranges::find(buffers_, self, [](const buffer& of) { return of.thread.load(std::memory_order_acquire); });
    if (mine != buffers_.end() && mine->round != round) {
        mine->round = round;
        mine->records.clear();
    }
    if (mine == buffers_.end() || mine->records.size() == most_records) {
        lost_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    mine->records.push_back(one);  // there is room: it does not allocate
    mine->published.store(mine->round << 32 | mine->records.size(), std::memory_order_release);
}

}  // namespace trace
