#include "server/admin/heap/sample_table.hpp"

#include <algorithm>
#include <cstdint>

namespace server::heap {
namespace {

constexpr std::size_t most_looks = 16;  // along a table, from where the hash points to

/// Multiplication by 2^64 / φ: Knuth, The Art of Computer Programming, volume 3, section 6.4.
constexpr std::uint64_t spread(std::uint64_t number) { return number * 0x9e3779b97f4a7c15; }

std::size_t first_place(const void* block) {
    const auto page =
        static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(block)) / sample_table::block_alignment;
    return spread(page) >> 32;
}

std::uint64_t hash_of(std::span<void* const> stack) {
    std::uint64_t hash = stack.size();
    for (const auto* const frame : stack) {
        hash = spread(hash ^ reinterpret_cast<std::uintptr_t>(frame));
        hash ^= hash >> 32;
    }
    return hash;
}

/// Not a block: a place that a thread is about to use.
const char taken_place = 0;

}  // namespace

void sample_table::sum::add(weight more) noexcept {
    objects.fetch_add(more.objects, std::memory_order_release);
    bytes.fetch_add(more.bytes, std::memory_order_release);
}

weight sample_table::sum::now() const noexcept {
    weight all;
    all.bytes = bytes.load(std::memory_order_acquire);
    all.objects = objects.load(std::memory_order_acquire);
    return all;
}

bool sample_table::add(const void* block, std::span<void* const> stack, weight of) noexcept {
    auto* const to = record_of(stack.first(std::min(stack.size(), most_frames)));
    if (to == nullptr || !put(block, {static_cast<std::uint32_t>(to - stacks_.data()), of})) {
        lost_.fetch_add(of.bytes, std::memory_order_relaxed);
        return false;
    }
    to->allocated.add(of);
    return true;
}

/// Two threads may make a record of the same stack at the same time; then there are two, which the reader of a profile
/// adds up.
sample_table::stack_record* sample_table::record_of(std::span<void* const> stack) noexcept {
    const auto hash = hash_of(stack);
    for (std::size_t look = 0; look < most_looks; ++look) {
        auto& slot = stacks_[(hash + look) % most_stacks];
        auto state = slot.state.load(std::memory_order_acquire);
        if (state == fill::empty && slot.state.compare_exchange_strong(state, fill::writing)) {
            slot.hash = hash;
            slot.depth = static_cast<std::uint32_t>(stack.size());
            std::ranges::copy(stack, slot.frames.begin());
            slot.state.store(fill::full, std::memory_order_release);
            return &slot;
        }
        if (state == fill::full && slot.hash == hash &&
            std::ranges::equal(stack, std::span(slot.frames.data(), slot.depth)))
            return &slot;
    }
    return nullptr;
}

bool sample_table::put(const void* block, block_record record) noexcept {
    for (std::size_t look = 0; look < most_looks; ++look) {
        const auto place = (first_place(block) + look) % most_blocks;
        const void* nobody = nullptr;
        if (!blocks_[place].compare_exchange_strong(nobody, &taken_place, std::memory_order_acquire)) continue;
        records_[place] = record;
        blocks_[place].store(block, std::memory_order_release);
        return true;
    }
    return false;
}

void sample_table::remove(const void* block) noexcept {
    if (block == nullptr) return;
    for (std::size_t look = 0; look < most_looks; ++look) {
        const auto place = (first_place(block) + look) % most_blocks;
        if (blocks_[place].load(std::memory_order_acquire) != block) continue;
        const auto record = records_[place];
        blocks_[place].store(nullptr, std::memory_order_release);
        stacks_[record.stack].freed.add(record.of);
        return;
    }
}

}  // namespace server::heap
