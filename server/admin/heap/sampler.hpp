#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "server/admin/heap/sample_table.hpp"

/// Which stacks hold the memory that operator new has handed out, by samples.
///
/// Sampled is as if bytes were hit at random, one in `interval` of them: the gaps between hits are exponentially
/// distributed (a Poisson process), so whether a block of s bytes is hit, with probability p = 1 - exp(-s / interval),
/// depends on nothing else, and no pattern of a program can hide between the hits. A sampled block stands for 1 / p
/// blocks of its size: sums over many are what a count of all would have, with a relative error of about
/// sqrt(interval / sum in bytes).
///
/// There is one such thing in a process, like the operators themselves, which can reach nothing but statics. Safe from
/// any thread, at any time from the start of the process to its end, and in a child of fork(2).
namespace server::heap {

constexpr std::uint64_t default_interval = 512 * 1024;  ///< bytes, as in Go and tcmalloc

/// One sample in this many bytes on the average from now on, 0: none. Blocks sampled before are known until they are
/// freed. The first call allocates.
void sample_every(std::uint64_t bytes);
std::uint64_t interval() noexcept;

/// What has been sampled since the start.
const sample_table& samples() noexcept;

// What the operators do.

/// A block, or nullptr when there is no memory. `caller`: where the operator returns to, so that the frames of the
/// allocation itself are not shown.
void* allocate(std::size_t size, std::size_t alignment, const void* caller) noexcept;
void release(void* block) noexcept;

namespace detail {

/// How far this thread is from its next hit. Nothing is to be destroyed, so it serves a thread until its very end.
struct countdown {
    std::uint64_t left = 0;      ///< bytes
    std::uint64_t interval = 0;  ///< `left` was drawn for it
    std::uint64_t random = 0;
    bool inside = false;  ///< in the taking of a sample, which may allocate
};

extern constinit std::atomic<std::uint64_t> interval_now;
extern constinit thread_local countdown here;

bool hit(std::size_t size) noexcept;
void* allocate_sampled(std::size_t size, std::size_t alignment, const void* caller) noexcept;
void forget(const void* block) noexcept;

}  // namespace detail

inline void* allocate(std::size_t size, std::size_t alignment, const void* caller) noexcept {
    const auto every = detail::interval_now.load(std::memory_order_relaxed);
    if (every != 0) {
        if (detail::here.left > size && detail::here.interval == every) [[likely]] {
            detail::here.left -= size;
        } else if (detail::hit(size)) {
            auto* const block = detail::allocate_sampled(size, alignment, caller);
            if (block != nullptr) return block;
        }
    }
    if (alignment <= alignof(std::max_align_t)) return std::malloc(size == 0 ? 1 : size);
    void* block = nullptr;  // aligned_alloc(3) wants a size that is a multiple of the alignment
    return ::posix_memalign(&block, alignment, size) == 0 ? block : nullptr;
}

inline void release(void* block) noexcept {
    if (reinterpret_cast<std::uintptr_t>(block) % sample_table::block_alignment == 0) [[unlikely]]
        detail::forget(block);
    std::free(block);
}

}  // namespace server::heap
