#include "server/admin/heap/sample_table.hpp"

#include <algorithm>
#include <cstdint>

namespace server::heap {
namespace {

constexpr std::size_t most_looks = 16;  // along the places of stacks, from where the hash points to

/// Of the table of blocks: a block has a bucket of a cache line in each level.
constexpr std::size_t levels = 7, first_level = 256, bucket = 8;
static_assert(first_level * ((std::size_t{1} << levels) - 1) == sample_table::most_blocks);

/// Multiplication by 2^64 / φ: Knuth, The Art of Computer Programming, volume 3, section 6.4.
constexpr std::uint64_t spread(std::uint64_t number) { return number * 0x9e3779b97f4a7c15; }

/// The first of its places that `is_it`; most_blocks: none is.
template <class Predicate>
std::size_t find_place(const void* block, Predicate is_it) {
    const auto page =
        static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(block)) / sample_table::block_alignment;
    const auto hash = spread(page) >> 32;
    for (std::size_t level = 0, begin = 0, size = first_level; level < levels; ++level, begin += size, size *= 2) {
        const auto at = begin + hash % (size / bucket) * bucket;
        for (std::size_t place = at; place < at + bucket; ++place)
            if (is_it(place)) return place;
    }
    return sample_table::most_blocks;
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
        auto& place = places_[(hash + look) % most_stacks];
        auto number = place.load(std::memory_order_acquire);
        if (number == empty && place.compare_exchange_strong(number, writing)) {
            const auto next = next_stack_.fetch_add(1, std::memory_order_relaxed);  // there is a record for each place
            auto& record = stacks_[next];
            record.hash = hash;
            record.depth = static_cast<std::uint32_t>(stack.size());
            std::ranges::copy(stack, record.frames.begin());
            place.store(first_number + next, std::memory_order_release);
            return &record;
        }
        if (number == empty || number == writing) continue;
        auto& record = stacks_[number - first_number];
        if (record.hash == hash && std::ranges::equal(stack, std::span(record.frames.data(), record.depth)))
            return &record;
    }
    return nullptr;
}

bool sample_table::put(const void* block, block_record record) noexcept {
    const auto place = find_place(block, [this](std::size_t at) {
        const void* nobody = nullptr;
        return blocks_[at].compare_exchange_strong(nobody, &taken_place, std::memory_order_acquire);
    });
    if (place == most_blocks) return false;
    records_[place] = record;
    blocks_[place].store(block, std::memory_order_release);
    return true;
}

void sample_table::remove(const void* block) noexcept {
    if (block == nullptr) return;
    const auto place = find_place(
        block, [this, block](std::size_t at) { return blocks_[at].load(std::memory_order_acquire) == block; });
    if (place == most_blocks) return;
    const auto record = records_[place];
    blocks_[place].store(nullptr, std::memory_order_release);
    stacks_[record.stack].freed.add(record.of);
}

}  // namespace server::heap
