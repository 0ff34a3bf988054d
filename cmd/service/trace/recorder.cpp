#include "cmd/service/trace/recorder.hpp"

#include <unistd.h>

#include <new>

namespace trace {

void recorder::begin(const std::vector<pid_t>& living) {
    for (auto& buffer : buffers_)
        if (std::ranges::find(living, buffer.thread.load(std::memory_order_relaxed)) == living.end())
            buffer.thread.store(0, std::memory_order_release);
    lost_.store(0, std::memory_order_relaxed);
    round_.store(++rounds_, std::memory_order_release);
}

/// The buffer of this thread, made at its first record; nullptr: there is none left, or no memory.
recorder::buffer* recorder::mine() noexcept {
    thread_local const pid_t self = ::gettid();
    for (auto& buffer : buffers_)
        if (buffer.thread.load(std::memory_order_relaxed) == self) return &buffer;
    for (auto& buffer : buffers_) {
        pid_t nobody = 0;
        if (!buffer.thread.compare_exchange_strong(nobody, self, std::memory_order_acquire)) continue;
        try {
            buffer.records.reserve(most_records);
            return &buffer;
        } catch (const std::bad_alloc&) {
            buffer.thread.store(0, std::memory_order_release);
            return nullptr;
        }
    }
    return nullptr;
}

/// A thread that comes late writes after what has been published, so it is not read; where it writes it says first
/// thing in the next round.
void recorder::add(const record& record) noexcept {
    const auto round = round_.load(std::memory_order_acquire);
    if (round == 0) return;
    auto* const to = mine();
    if (to != nullptr && to->round != round) {
        to->round = round;
        to->records.clear();
    }
    if (to == nullptr || to->records.size() == most_records) {
        lost_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    to->records.push_back(record);  // there is room: it does not allocate
    to->published.store(to->round << 32 | to->records.size(), std::memory_order_release);
}

}  // namespace trace
