// What a new and its delete cost with samplers of the heap: our module (HEAP, with the interval as argument), and,
// built without it, glibc alone or whatever allocator is linked or preloaded. docs/adr/0035-heap-profile.md has the
// figures.

#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstdint>

#ifdef HEAP
#include "server/admin/heap/sampler.hpp"
#endif

namespace {

/// Blocks live for a while and are freed in another order than they were made.
void replace_blocks(benchmark::State& state) {
#ifdef HEAP
    server::heap::sample_every(static_cast<std::uint64_t>(state.range(1)));
#endif
    const auto size = static_cast<std::size_t>(state.range(0));
    std::array<char*, 1'024> blocks{};
    std::uint32_t at = 1;
    for (auto _ : state) {
        at = at * 1'664'525 + 1'013'904'223;  // Numerical Recipes, 7.1
        auto& block = blocks[at >> 22];
        ::operator delete(block);
        block = static_cast<char*>(::operator new(size));
        block[0] = 'x';
    }
    for (auto* const block : blocks) ::operator delete(block);
}

}  // namespace

#ifdef HEAP
BENCHMARK(replace_blocks)->ArgsProduct({{64, 1'024}, {0, 512 * 1'024}});
#else
BENCHMARK(replace_blocks)->Arg(64)->Arg(1'024);
#endif
