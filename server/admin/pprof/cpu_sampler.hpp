#pragma once

#include <signal.h>
#include <sys/types.h>
#include <time.h>

#include <array>
#include <atomic>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "server/loop.hpp"

namespace server::pprof {

/// A thread to be looked at, and the loop that it runs, if it does.
struct sampled_thread {
    pid_t id = 0;
    std::string name;
    const loop* on = nullptr;
};

/// Takes the stacks of threads while they use the CPU: each has a timer on its own CPU clock (timer_create(2),
/// SIGEV_THREAD_ID), whose signal handler calls glibc's backtrace(), which takes no lock and, after its first call,
/// does not allocate. The handler writes into a bounded buffer; what finds no room is counted.
///
/// One at a time in a process. `follow` and `collect` only on one thread, about ten times a second; the loops outlive
/// it. Destroyed, no handler runs in it any more.
class cpu_sampler {
public:
    static constexpr int hertz = 100;  ///< samples in a second of CPU time

    /// A stack, innermost frame first, with what it was taken for. The name lives as long as the sampler.
    struct place {
        std::vector<void*> frames;
        const std::string* thread;
        const server::route* route;  ///< of the handler that the loop was in; nullptr: of none
        auto operator<=>(const place&) const = default;
    };

    /// nullptr: there is one already.
    static std::unique_ptr<cpu_sampler> start();
    ~cpu_sampler();
    cpu_sampler(const cpu_sampler&) = delete;
    cpu_sampler& operator=(const cpu_sampler&) = delete;

    /// Begins with threads that are new in the list, ends with those that are not in it any more.
    void follow(const std::vector<sampled_thread>& threads);
    /// Adds up what the handlers have left.
    void collect();

    const std::map<place, std::uint64_t>& samples() const noexcept { return samples_; }
    std::uint64_t lost() const noexcept { return lost_.load(std::memory_order_relaxed); }

private:
    enum class fill : std::uint8_t { empty, writing, full };
    struct record {
        std::atomic<fill> state{fill::empty};
        std::uint16_t slot = 0;
        std::uint64_t times = 0;
        const server::route* route = nullptr;
        int depth = 0;
        std::array<void*, 64> frames;
    };
    struct slot {
        pid_t thread = 0;  ///< 0: free
        timer_t timer{};
        const std::string* name = nullptr;
        std::atomic<const loop*> on{nullptr};
        bool seen = false;
    };

    cpu_sampler();
    static void on_signal(int, siginfo_t* info, void* context);
    void take(const siginfo_t& info, void* interrupted) noexcept;
    void begin(slot& in, const sampled_thread& thread);

    static std::atomic<cpu_sampler*> current_;
    static std::atomic<int> handlers_;  ///< that may look at it now

    const std::uint32_t generation_;  ///< a signal of the sampler before this one may still come
    std::array<slot, 512> slots_;
    std::array<record, 1024> records_;
    std::atomic<std::size_t> next_{0};
    std::atomic<std::uint64_t> lost_{0};
    std::set<std::string> names_;
    std::map<place, std::uint64_t> samples_;
};

}  // namespace server::pprof
