#include "server/admin/pprof/cpu_sampler.hpp"

#include <execinfo.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

namespace server::pprof {
namespace {

constexpr std::size_t most_places = 50'000;  // distinct stacks of one profile: some 20 MB

/// The CPU clock of a thread of this process, as the kernel counts (posix-timers.h): pthread_getcpuclockid(3) wants a
/// pthread_t, which may be gone. 4: of one thread, 2: the time the scheduler has given it.
clockid_t cpu_clock_of(pid_t thread) { return static_cast<clockid_t>(~static_cast<unsigned>(thread) << 3 | 4 | 2); }

void* interrupted_at(const void* context) noexcept {
    [[maybe_unused]] const auto& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
    return reinterpret_cast<void*>(machine.gregs[REG_RIP]);
#elif defined(__aarch64__)
    return reinterpret_cast<void*>(machine.pc);
#else
    return nullptr;
#endif
}

std::uint32_t next_generation() {
    static std::atomic<std::uint32_t> last{0};
    return ++last & 0xffff;
}

}  // namespace

// A signal handler can reach nothing but statics.
std::atomic<cpu_sampler*> cpu_sampler::current_{nullptr};
std::atomic<int> cpu_sampler::handlers_{0};

std::unique_ptr<cpu_sampler> cpu_sampler::start() {
    static_assert(std::atomic<cpu_sampler*>::is_always_lock_free && std::atomic<int>::is_always_lock_free);
    std::unique_ptr<cpu_sampler> made(new cpu_sampler);
    cpu_sampler* none = nullptr;
    if (!current_.compare_exchange_strong(none, made.get())) return nullptr;
    return made;
}

cpu_sampler::cpu_sampler() : generation_(next_generation()) {
    // The handler stays for good: a signal that comes late would end the process by its default action.
    [[maybe_unused]] static const bool installed = [] {
        void* load_unwinder_now[1];
        ::backtrace(load_unwinder_now, 1);  // backtrace(3): its first call may allocate
        struct sigaction action = {};
        action.sa_sigaction = on_signal;
        action.sa_flags = SA_SIGINFO | SA_RESTART;
        return ::sigaction(SIGPROF, &action, nullptr) == 0;
    }();
}

cpu_sampler::~cpu_sampler() {
    auto* self = this;
    if (!current_.compare_exchange_strong(self, nullptr)) return;  // has never been the one
    for (auto& slot : slots_)
        if (slot.thread != 0) ::timer_delete(slot.timer);
    while (handlers_.load() != 0) std::this_thread::yield();  // microseconds: handlers do not wait
}

void cpu_sampler::on_signal(int, siginfo_t* info, void* context) {
    const int error = errno;
    ++handlers_;  // before the look, as the destructor looks here after it has taken `current_` away
    if (auto* const to = current_.load(); to != nullptr && info->si_code == SI_TIMER) to->take(*info, context);
    --handlers_;
    errno = error;
}

void cpu_sampler::take(const siginfo_t& info, void* interrupted) noexcept {
    const auto ticket = static_cast<std::uint32_t>(info.si_value.sival_int);
    if (ticket >> 16 != generation_) return;
    const auto times = 1 + static_cast<std::uint64_t>(std::max(0, info.si_overrun));  // timer_getoverrun(2)
    auto& to = records_[next_.fetch_add(1, std::memory_order_relaxed) % records_.size()];
    auto state = fill::empty;
    if (!to.state.compare_exchange_strong(state, fill::writing, std::memory_order_acquire)) {
        lost_.fetch_add(times, std::memory_order_relaxed);
        return;
    }
    to.slot = static_cast<std::uint16_t>(ticket);
    to.times = times;
    const auto* const on = slots_[to.slot].on.load(std::memory_order_relaxed);
    to.route = on == nullptr ? nullptr : on->last_entered();
    to.depth = ::backtrace(to.frames.data(), static_cast<int>(to.frames.size()));
    // The frames of this handler go; how many they are is the compiler's business.
    auto* const pc = interrupted_at(interrupted);
    const auto end = to.frames.begin() + to.depth;
    const auto first = std::find(to.frames.begin(), end, pc);
    if (first != end) {
        to.depth = static_cast<int>(std::copy(first, end, to.frames.begin()) - to.frames.begin());
    } else if (pc != nullptr) {
        to.frames[0] = pc;
        to.depth = 1;
    }
    to.state.store(fill::full, std::memory_order_release);
}

void cpu_sampler::follow(const std::vector<sampled_thread>& threads) {
    collect();  // before a place is taken by another thread
    for (auto& slot : slots_) slot.seen = false;
    std::vector<const sampled_thread*> fresh;
    for (const auto& thread : threads) {
        const auto at = std::ranges::find(slots_, thread.id, &slot::thread);
        if (at != slots_.end())
            at->seen = true;
        else
            fresh.push_back(&thread);
    }
    for (auto& slot : slots_)
        if (slot.thread != 0 && !slot.seen) {
            ::timer_delete(slot.timer);
            slot.thread = 0;
        }
    for (const auto* thread : fresh)
        if (const auto at = std::ranges::find(slots_, 0, &slot::thread); at != slots_.end()) begin(*at, *thread);
}

void cpu_sampler::begin(slot& in, const sampled_thread& thread) {
    const auto index = static_cast<std::uint32_t>(&in - slots_.data());
    in.name = &*names_.insert(thread.name).first;
    in.on.store(thread.on, std::memory_order_relaxed);
    sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGPROF;
    event.sigev_value.sival_int = static_cast<int>(generation_ << 16 | index);
    event._sigev_un._tid = thread.id;  // glibc before 2.39 has no other name for it
    if (::timer_create(cpu_clock_of(thread.id), &event, &in.timer) != 0) return;  // it has ended meanwhile
    const timespec period{0, 1'000'000'000 / hertz};
    const itimerspec times{period, period};
    in.thread = thread.id;
    ::timer_settime(in.timer, 0, &times, nullptr);
}

void cpu_sampler::collect() {
    for (auto& record : records_) {
        if (record.state.load(std::memory_order_acquire) != fill::full) continue;
        // Not in braces: two pointers in braces are two frames.
        std::vector<void*> frames(record.frames.begin(), record.frames.begin() + record.depth);
        place at{std::move(frames), slots_[record.slot].name, record.route};
        if (samples_.size() < most_places || samples_.contains(at))
            samples_[std::move(at)] += record.times;
        else
            lost_.fetch_add(record.times, std::memory_order_relaxed);
        record.state.store(fill::empty, std::memory_order_release);
    }
}

}  // namespace server::pprof
