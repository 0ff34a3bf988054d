// Replaces what a program allocates with; asio takes the frames of its coroutines from aligned_alloc(3).
#include "tests/hot_path/counted_allocations.hpp"

#include <cstdlib>
#include <new>

namespace {

thread_local std::uint64_t count = 0;

void* counted(void* memory) {
    ++count;
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

}  // namespace

std::uint64_t hot_path::allocations_of_this_thread() noexcept { return count; }

void* operator new(std::size_t size) { return counted(std::malloc(size)); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) {
    ++count;
    void* memory = nullptr;
    return ::posix_memalign(&memory, alignment < sizeof memory ? sizeof memory : alignment, size) == 0 ? memory
                                                                                                       : nullptr;
}
