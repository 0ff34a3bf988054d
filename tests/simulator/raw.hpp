#pragma once

#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>

namespace simulator::raw {

/// A system call of the real machine, without the C library, whose functions the simulator replaces.
inline long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) noexcept {
    long result;
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    if (result >= 0 || result < -4095) return result;
    errno = static_cast<int>(-result);
    return -1;
}

inline void* map(std::size_t size) noexcept {
    return reinterpret_cast<void*>(call(SYS_mmap, 0, static_cast<long>(size), PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

}  // namespace simulator::raw
