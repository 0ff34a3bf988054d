// Replaces what a program allocates with: operator new, aligned_alloc(3), from which Asio takes the frames of
// coroutines and its operations, malloc(3) and its kin, which OpenSSL, nghttp2 and the C library itself use, and
// mmap(2), from which workspaces come (the linker wraps it).
#include "tests/allocations/failing.hpp"

#include <pthread.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

std::atomic<bool> armed{false};
std::atomic<std::uint64_t> seen{0}, first{0}, last{0};

/// Loops, the thread that appends to the spool, and those that deliver: they have names from lifecycle::workers.
bool serves() {
    char name[16] = {};
    ::pthread_getname_np(::pthread_self(), name, sizeof name);
    return std::strncmp(name, "app-", 4) == 0 || std::strncmp(name, "tracker-", 8) == 0;
}

bool fails() {
    if (!armed.load(std::memory_order_relaxed) || !serves()) return false;
    const auto number = seen.fetch_add(1) + 1;
    return number >= first && number < last;
}

}  // namespace

void failing::arm(std::uint64_t nth, std::uint64_t how_many) {
    seen = 0;
    first = nth;
    last = nth + how_many;
    armed = true;
}

std::uint64_t failing::disarm() {
    armed = false;
    return seen;
}

// What glibc has under names of its own, for programs that replace malloc(3).
extern "C" void* __libc_malloc(std::size_t size);
extern "C" void* __libc_calloc(std::size_t number, std::size_t size);
extern "C" void* __libc_realloc(void* memory, std::size_t size);

namespace {

void* none() {
    errno = ENOMEM;
    return nullptr;
}

}  // namespace

extern "C" void* malloc(std::size_t size) noexcept { return fails() ? none() : __libc_malloc(size); }
extern "C" void* calloc(std::size_t number, std::size_t size) noexcept {
    return fails() ? none() : __libc_calloc(number, size);
}
extern "C" void* realloc(void* memory, std::size_t size) noexcept {
    return fails() ? none() : __libc_realloc(memory, size);
}

void* operator new(std::size_t size) {
    void* const memory = fails() ? nullptr : __libc_malloc(size);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) {
    void* memory = nullptr;
    if (fails()) return nullptr;
    return ::posix_memalign(&memory, alignment < sizeof memory ? sizeof memory : alignment, size) == 0 ? memory
                                                                                                       : nullptr;
}

extern "C" void* __real_mmap(void* at, std::size_t size, int protection, int flags, int file, off_t offset);
extern "C" void* __wrap_mmap(void* at, std::size_t size, int protection, int flags, int file, off_t offset) {
    if (!fails()) return __real_mmap(at, size, protection, flags, file, offset);
    errno = ENOMEM;
    return MAP_FAILED;
}
