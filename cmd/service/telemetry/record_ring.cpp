#include "cmd/service/telemetry/record_ring.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace telemetry {

record_ring::record_ring(std::size_t capacity)
    : capacity_(capacity),
      size_(rounded(std::max(capacity * usual_record, 4 * longest_record))),
      bytes_(std::make_unique_for_overwrite<char[]>(size_)) {}

void record_ring::put(std::size_t at, length value) noexcept { std::memcpy(bytes_.get() + at, &value, sizeof value); }

record_ring::length record_ring::look(std::size_t at) const noexcept {
    length value = 0;
    std::memcpy(&value, bytes_.get() + at, sizeof value);
    return value;
}

char* record_ring::begin() noexcept {
    constexpr auto most = sizeof(length) + longest_record;
    const auto to_end = size_ - write_at_;
    const auto needed = to_end < most ? to_end + most : most;
    const auto has_room = [&] { return size_ - (write_ - freed_seen_) >= needed; };
    if (!has_room()) freed_seen_ = read_.load(std::memory_order_acquire);
    const auto written = written_.load(std::memory_order_relaxed);
    if (!has_room() || written - taken_.load(std::memory_order_relaxed) >= capacity_) {
        dropped_.add();
        return nullptr;
    }
    if (to_end < most) {  // it has to be in one piece
        put(write_at_, wraps);
        write_ += to_end;
        write_at_ = 0;
    }
    return bytes_.get() + write_at_ + sizeof(length);
}

void record_ring::end(std::size_t bytes) noexcept {
    assert(bytes <= longest_record);
    put(write_at_, static_cast<length>(bytes));
    const auto used = sizeof(length) + rounded(bytes);
    write_ += used;
    write_at_ += used;
    if (write_at_ == size_) write_at_ = 0;
    written_.store(written_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    published_.store(write_, std::memory_order_release);
}

std::size_t record_ring::take(std::string& into, std::vector<std::size_t>& ends, std::size_t records,
                              std::size_t bytes) {
    const auto until = published_.load(std::memory_order_acquire);
    auto read = read_.load(std::memory_order_relaxed);
    auto at = read % size_;
    std::size_t taken = 0;
    while (read != until && taken < records) {
        const auto size = look(at);
        if (size == wraps) {
            read += size_ - at;
            at = 0;
            continue;
        }
        if (!into.empty() && into.size() + size > bytes) break;
        into.append(bytes_.get() + at + sizeof(length), size);
        ends.push_back(into.size());
        const auto used = sizeof(length) + rounded(size);
        read += used;
        at += used;
        if (at == size_) at = 0;
        ++taken;
    }
    taken_.store(taken_.load(std::memory_order_relaxed) + taken, std::memory_order_release);
    read_.store(read, std::memory_order_release);
    return taken;
}

}  // namespace telemetry
