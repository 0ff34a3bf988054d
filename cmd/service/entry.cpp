// The first instructions of the program: they block the signals of a stop, before the C library starts.
//
// Between exec and the first line of main the default action of SIGTERM would end the process, or, as PID 1, the
// kernel would throw the signal away. In a static program nothing of anybody else runs before the entry point, so from
// here on a signal waits for the signalfd. See docs/adr/0021-static-program.md.

#ifdef ENTRY_POINT  // set where the linker is told to begin here: x86-64 and AArch64, static

#include <cstdint>

#include "lifecycle/signals.hpp"

namespace {

constexpr std::uint64_t kernel_mask() {  // sigset_t as the kernel has it: bit n - 1 is signal n
    std::uint64_t mask = 0;
    for (const int number : lifecycle::watched_signals) mask |= std::uint64_t{1} << (number - 1);
    return mask;
}

[[gnu::used]] const std::uint64_t entry_mask __asm__("entry_mask") = kernel_mask();

}  // namespace

#if defined(__x86_64__)
// rt_sigprocmask(2): rax = number, rdi = SIG_BLOCK, rsi = set, rdx = old set, r10 = size of a set; changes rcx and r11.
// rdx carries what _start registers with atexit (System V ABI, x86-64, 3.4.1), so it is kept.
asm(R"(
    .pushsection .text
    .globl service_entry
    .hidden service_entry
    .type service_entry, @function
service_entry:
    mov %rdx, %r12
    mov $14, %eax
    xor %edi, %edi
    lea entry_mask(%rip), %rsi
    xor %edx, %edx
    mov $8, %r10d
    syscall
    mov %r12, %rdx
    jmp _start
    .size service_entry, . - service_entry
    .popsection
)");
#elif defined(__aarch64__)
// rt_sigprocmask(2): x8 = number, x0 = SIG_BLOCK, x1 = set, x2 = old set, x3 = size of a set; changes x0. That carries
// what glibc's _start registers with atexit, so it is kept.
asm(R"(
    .pushsection .text
    .globl service_entry
    .hidden service_entry
    .type service_entry, %function
service_entry:
    mov x9, x0
    mov x8, #135
    mov x0, #0
    adrp x1, entry_mask
    add x1, x1, :lo12:entry_mask
    mov x2, #0
    mov x3, #8
    svc #0
    mov x0, x9
    b _start
    .size service_entry, . - service_entry
    .popsection
)");
#else
#error "the entry point is not written for this architecture: link without ENTRY_POINT"
#endif

#endif
