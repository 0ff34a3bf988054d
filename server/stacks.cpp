#include "server/stacks.hpp"

#include <execinfo.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>

#include "server/symbols.hpp"

namespace server {
namespace {

/// Where the handler leaves the stack. A signal handler can reach nothing but statics. The ticket
/// keeps a handler that comes too late from writing into the answer of the next question.
struct answer {
    std::atomic<std::uint64_t> ticket{0};  // 0: no stack is wanted
    std::array<void*, 64> frames{};
    std::atomic<int> count{0};  // of the frames; released when they are there
    sem_t ready;
};

answer& shared() {
    static answer the_answer;
    static const bool made = ::sem_init(&the_answer.ready, 0, 0) == 0;
    static_cast<void>(made);
    return the_answer;
}

int stack_signal() { return SIGRTMIN + 1; }

void take_stack(int, siginfo_t* info, void*) {
    const int error = errno;
    auto& to = shared();
    auto asked = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(info->si_value.sival_ptr));
    if (to.ticket.compare_exchange_strong(asked, 0)) {
        const int count = ::backtrace(to.frames.data(), static_cast<int>(to.frames.size()));
        to.count.store(count, std::memory_order_release);
        ::sem_post(&to.ready);
    }
    errno = error;
}

void install_handler() {
    static const bool installed = [] {
        void* load_libgcc_now[1];
        ::backtrace(load_libgcc_now, 1);  // its first call allocates: not in the handler
        struct sigaction action = {};
        action.sa_sigaction = take_stack;
        action.sa_flags = SA_SIGINFO | SA_RESTART;
        ::sigaction(stack_signal(), &action, nullptr);
        return true;
    }();
    static_cast<void>(installed);
}

}  // namespace

std::vector<std::string> stack_of(pid_t thread, std::chrono::milliseconds limit) {
    static std::mutex one_at_a_time;
    static std::uint64_t tickets = 0;
    const std::scoped_lock lock(one_at_a_time);
    install_handler();
    auto& from = shared();
    while (::sem_trywait(&from.ready) == 0) {}
    const auto ticket = ++tickets;
    from.ticket = ticket;

    siginfo_t info = {};
    info.si_signo = stack_signal();
    info.si_code = SI_QUEUE;
    info.si_pid = ::getpid();
    info.si_uid = ::getuid();
    info.si_value.sival_ptr = reinterpret_cast<void*>(static_cast<std::uintptr_t>(ticket));
    std::vector<std::string> stack;
    if (::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), thread, info.si_signo, &info) != 0) {
        from.ticket = 0;
        return stack;
    }
    timespec until;
    ::clock_gettime(CLOCK_MONOTONIC, &until);
    const auto nanoseconds = until.tv_nsec + std::chrono::nanoseconds(limit).count();
    until.tv_sec += nanoseconds / 1'000'000'000;
    until.tv_nsec = nanoseconds % 1'000'000'000;
    int waited;
    do waited = ::sem_clockwait(&from.ready, CLOCK_MONOTONIC, &until);
    while (waited != 0 && errno == EINTR);
    if (waited != 0) {
        auto expected = ticket;
        if (from.ticket.compare_exchange_strong(expected, 0)) return stack;  // it will not write any more
        ::sem_wait(&from.ready);                                             // it is writing now
    }
    constexpr int own_frames = 2;  // the handler and the kernel's trampoline
    const symbols symbols;
    const int count = from.count.load(std::memory_order_acquire);
    for (int at = own_frames; at < count; ++at)
        stack.push_back(symbols.name(from.frames[static_cast<std::size_t>(at)]));
    return stack;
}

}  // namespace server
