// What a program allocates with: operator new, aligned_alloc(3), from which Asio takes the frames of coroutines and its
// operations, and mmap(2), from which workspaces come. On the threads that serve it fails when the world says so.

#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <new>

#include "tests/simulator/calls.hpp"

using namespace simulator;

namespace {

bool fails() noexcept {
    auto* const on = kernel::current();
    if (on == nullptr || on->running() == nullptr || on->running()->calls > 0) return false;
    auto& self = on->self();
    if (self.allocations_fail == 0) return false;
    const auto& name = on->running()->name;
    if (!name.starts_with("app-") && !name.starts_with("tracker-")) return false;
    if (self.first_loop_only && name != "app-1") return false;
    if (self.allocations_left > 0) return --self.allocations_left, false;
    --self.allocations_fail;
    return true;
}

/// Of one size, linked by their first bytes: to give pages back takes no memory, which may have ended.
struct free_pages {
    std::size_t size = 0;
    void* first = nullptr;
};

free_pages& pages_of(std::size_t size) noexcept {
    static std::array<free_pages, 16> all;
    auto* const its = std::ranges::find_if(all, [&](const auto& each) { return each.size == size || each.size == 0; });
    if (its == all.end()) std::abort();
    its->size = size;
    return *its;
}

}  // namespace

void* operator new(std::size_t size) {
    void* const memory = fails() ? nullptr : std::malloc(size);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

extern "C" {

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    void* memory = nullptr;
    if (fails()) return nullptr;
    const auto least = std::max(alignment, sizeof memory);
    return ::posix_memalign(&memory, least, size) == 0 ? memory : nullptr;
}

void* mmap(void*, std::size_t size, int, int, int, off_t) noexcept {
    if (fails()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    auto& first = pages_of(size).first;
    if (first == nullptr) return raw::map(size);
    void* const pages = first;
    std::memcpy(&first, pages, sizeof first);
    std::memset(pages, 0, sizeof first);
    return pages;
}

int munmap(void* pages, std::size_t size) noexcept {
    auto& first = pages_of(size).first;
    std::memcpy(pages, &first, sizeof first);
    first = pages;
    return 0;
}

int malloc_trim(std::size_t) noexcept { return 0; }

}  // extern "C"
