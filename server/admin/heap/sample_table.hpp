#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace server::heap {

/// What a sampled block stands for, in whole numbers: what is freed takes away exactly what it had added.
struct weight {
    static constexpr std::uint64_t one_object = 1024;  ///< `objects` counts in such parts

    std::uint64_t objects = 0;
    std::uint64_t bytes = 0;
};

/// The sampled blocks that live, and for each stack what has been allocated and freed. It has the room that it has: a
/// block that finds none is counted, and is otherwise as if it had not been sampled.
///
/// Safe from any thread. No lock, so that no thread that allocates waits for one that reads, and a child of fork(2) can
/// go on with it; no allocation. To be static, or once on the heap: 3.3 MiB, of which memory is what has been written,
/// and that is little where few blocks live and few stacks have been seen, however many blocks have come and gone.
class sample_table {
public:
    static constexpr std::size_t most_frames = 64;
    static constexpr std::size_t most_stacks = 4096;
    static constexpr std::size_t most_blocks = 32512;  ///< at the default interval 16 GiB in use

    /// Takes note of a block, whose address must be a multiple of `block_alignment`, before its owner has it. False:
    /// there is no room. Of a stack that is longer than `most_frames` the outer end is cut off.
    bool add(const void* block, std::span<void* const> stack, weight of) noexcept;
    /// The same block is about to be freed; if it was not noted, it is not one of ours. By its owner alone.
    void remove(const void* block) noexcept;

    /// Calls `see(std::span<void* const> stack, weight allocated, weight freed)` for each stack, the innermost frame
    /// first. Never more is freed than allocated.
    template <class See>
    void for_each(See see) const {
        for (const auto& place : places_) {
            const auto number = place.load(std::memory_order_acquire);
            if (number == empty || number == writing) continue;
            const auto& stack = stacks_[number - first_number];
            const auto freed = stack.freed.now();  // before what is allocated
            see(std::span(stack.frames.data(), stack.depth), stack.allocated.now(), freed);
        }
    }
    /// Bytes that sampled blocks stood for which found no room.
    std::uint64_t lost() const noexcept { return lost_.load(std::memory_order_relaxed); }

    /// Sampled blocks begin at a page, as jemalloc's and tcmalloc's do: all others but one in 256 show by their
    /// address alone that there is nothing to look up.
    static constexpr std::size_t block_alignment = 4096;

private:
    static constexpr std::uint32_t empty = 0, writing = 1, first_number = 2;

    struct sum {
        std::atomic<std::uint64_t> objects{0}, bytes{0};
        void add(weight more) noexcept;
        weight now() const noexcept;
    };
    struct stack_record {
        std::uint32_t depth = 0;
        std::uint64_t hash = 0;
        sum allocated, freed;
        std::array<void*, most_frames> frames{};
    };
    struct block_record {
        std::uint32_t stack = 0;
        weight of;
    };

    stack_record* record_of(std::span<void* const> stack) noexcept;
    bool put(const void* block, block_record record) noexcept;

    /// Where the hash of a stack points to: the number of its record. Records are used one after the other.
    std::array<std::atomic<std::uint32_t>, most_stacks> places_{};
    std::atomic<std::uint32_t> next_stack_{0};  ///< all zero, or the program's file would hold it all
    std::array<stack_record, most_stacks> stacks_{};
    /// In levels, each twice as large as the one before, which is looked at first: few blocks are in few pages.
    std::array<std::atomic<const void*>, most_blocks> blocks_{};
    std::array<block_record, most_blocks> records_{};  ///< of the block of the same index; its owner's
    std::atomic<std::uint64_t> lost_{0};
};

}  // namespace server::heap
