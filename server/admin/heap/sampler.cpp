#include "server/admin/heap/sampler.hpp"

#include <execinfo.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

namespace server::heap {
namespace {

constexpr int own_frames = 4;  // at most, above the caller of an operator

/// Smaller blocks are kept by malloc for the next of their size: it would hand out again and again what begins at a
/// page, until every delete has something to look up. 1,032 bytes is where that ends (GLIBC_TUNABLES, tcache_max).
constexpr std::size_t least_sampled = 2'048;

constinit sample_table table;

/// SplitMix64: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014, figure 17.
std::uint64_t next_random(std::uint64_t& state) noexcept {
    auto z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/// Bytes to the next hit: the inverse of the exponential distribution at a random place in (0, 1].
std::uint64_t draw(std::uint64_t& random, std::uint64_t interval) noexcept {
    const auto u = static_cast<double>((next_random(random) >> 11) + 1) * 0x1p-53;
    return static_cast<std::uint64_t>(std::ceil(-std::log(u) * static_cast<double>(interval)));
}

weight stands_for(std::size_t size, std::uint64_t interval) noexcept {
    const auto bytes = static_cast<double>(std::max<std::size_t>(size, 1));
    const double blocks = -1 / std::expm1(-bytes / static_cast<double>(interval));
    return {static_cast<std::uint64_t>(std::llround(blocks * weight::one_object)),
            static_cast<std::uint64_t>(std::llround(blocks * bytes))};
}

}  // namespace

constinit std::atomic<std::uint64_t> detail::interval_now{0};
constinit thread_local detail::countdown detail::here;

void sample_every(std::uint64_t bytes) {
    void* load_unwinder_now[1];
    ::backtrace(load_unwinder_now, 1);  // backtrace(3): its first call may allocate
    detail::interval_now.store(bytes, std::memory_order_relaxed);
}

std::uint64_t interval() noexcept { return detail::interval_now.load(std::memory_order_relaxed); }

const sample_table& samples() noexcept { return table; }

/// The countdown has run out, or was for another interval: then it begins again, which for gaps that have no memory
/// changes nothing.
bool detail::hit(std::size_t size) noexcept {
    auto& at = here;
    const auto every = interval_now.load(std::memory_order_relaxed);
    if (at.inside || every == 0) return false;
    if (at.random == 0)  // each thread its own sequence
        at.random = reinterpret_cast<std::uintptr_t>(&at) ^
                    static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    const bool was_for_this = at.interval == every;
    at.interval = every;
    if (!was_for_this) {
        at.left = draw(at.random, every);
        if (at.left > size) {
            at.left -= size;
            return false;
        }
    }
    at.left = draw(at.random, every);
    return true;
}

void* detail::allocate_sampled(std::size_t size, std::size_t alignment, const void* caller) noexcept {
    void* block = nullptr;
    const auto boundary = std::max(alignment, sample_table::block_alignment);
    if (::posix_memalign(&block, boundary, std::max(size, least_sampled)) != 0) return nullptr;
    here.inside = true;
    std::array<void*, sample_table::most_frames + own_frames> frames;
    const auto depth = ::backtrace(frames.data(), static_cast<int>(frames.size()));
    std::span stack(frames.data(), static_cast<std::size_t>(std::max(depth, 0)));
    const auto own = std::ranges::find(stack, caller) - stack.begin();
    if (own <= own_frames) stack = stack.subspan(static_cast<std::size_t>(own));
    const bool noted = table.add(block, stack, stands_for(size, here.interval));
    here.inside = false;
    if (noted) return block;
    std::free(block);  // a page of its own only for what is sampled
    return nullptr;
}

void detail::forget(const void* block) noexcept { table.remove(block); }

}  // namespace server::heap
