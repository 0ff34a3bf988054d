#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulator/random.hpp"

namespace simulator {

using std::chrono::nanoseconds;

class description;
class process;
class disk_tree;
class network;

/// A thread of a simulated process: a stack of its own on the one real thread, with its own thread_local variables.
struct fiber {
    enum class condition : std::uint8_t { ready, waiting, over };

    process* owner = nullptr;
    pid_t thread = 0;
    std::string name;
    std::function<void*()> body;
    void* result = nullptr;
    condition now = condition::ready;
    const void* waits_for = nullptr;  ///< an address, as a futex has one; several wait by `waits_for_any`
    std::vector<const void*> waits_for_any;
    bool waits_by(const void* address) const noexcept {
        return waits_for == address || (!waits_for_any.empty() && std::ranges::count(waits_for_any, address) > 0);
    }
    std::uint64_t wait = 0;  ///< number of its last wait: an alarm that is late belongs to another
    bool timed_out = false;
    bool waits_for_disk = false;  ///< and hears no signal
    int calls = 0;                ///< of the C library, that it is in
    std::uint64_t made = 0;       ///< calls, so far

    void* stack_pointer = nullptr;
    std::byte* stack = nullptr;
    std::vector<std::byte> variables;   ///< its thread_local ones, while it does not run
    int error = 0;                      ///< errno
    std::vector<const void*> specific;  ///< by key
    std::uint64_t exceptions[2] = {};   ///< what __cxa_get_globals has
};

/// Time, threads and chance of a simulated machine. Everything on it runs on one real thread, one fiber at a time, and
/// only changes at a call of the C library; which fiber is next, and how long a call takes, the seed decides.
///
/// Only one lives at a time; the calls of the C library find it by `current()`.
class kernel {
public:
    explicit kernel(std::uint64_t seed);
    ~kernel();
    kernel(const kernel&) = delete;
    kernel& operator=(const kernel&) = delete;

    static kernel* current() noexcept;
    /// The fiber that runs; nullptr: the world outside of the processes does.
    fiber* running() const noexcept { return running_; }
    process& self() const noexcept { return *running_->owner; }

    nanoseconds now() const noexcept { return now_; }
    random_source& chance() noexcept { return chance_; }

    /// Calls `what` at that time, or at once where it has passed, outside of all processes.
    void at(nanoseconds when, std::function<void()> what);
    void after(nanoseconds delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }

    /// Lets the fibers run and time pass, until `done`. False: nothing will ever happen any more, or it is `latest`.
    bool run(const std::function<bool()>& done, nanoseconds latest);

    // For the calls.

    fiber& start(process& owner, std::string name, std::function<void*()> body);
    /// A call has been made: time passes, and others may have a turn.
    void call();
    void pass(nanoseconds time) noexcept { now_ += time; }
    void yield();
    /// Blocks until `address` is woken. False: `until` came first. max(): no limit.
    bool wait(const void* address, nanoseconds until = nanoseconds::max());
    bool wait_any(std::vector<const void*> addresses, nanoseconds until);
    void wake(const void* address, bool all = true);
    /// The fibers of a process are no more; one that runs does not return from here.
    void forget(process& dead);
    std::vector<fiber*> living(const process& of) const;
    bool is_over(const void* id) const noexcept;
    void* result_of(const void* id) noexcept;

    disk_tree* disk = nullptr;
    network* wires = nullptr;
    std::vector<process*> processes;  ///< that have begun, also those that are over
    /// Starts the program once more, with these as its descriptors from 3 on; nullptr where a plan has no upgrade.
    std::function<process*(const std::vector<std::shared_ptr<description>>&)> spawn;
    nanoseconds manager_takes{0};  ///< the service manager, to read what it is told
    std::uint64_t switches = 0;
    unsigned preempts = 8;  ///< of how many calls one gives others a turn

private:
    struct event {
        nanoseconds when;
        std::uint64_t number;
        std::function<void()> what = {};
        fiber* sleeper = nullptr;  ///< instead of `what`: its wait is over
        std::uint64_t wait = 0;    ///< ... if it is that one
        bool operator<(const event& other) const noexcept {
            return when != other.when ? when > other.when : number > other.number;
        }
    };

    void add(event next);
    bool suspend(nanoseconds until);
    void wake_up(fiber& sleeper, std::uint64_t wait);
    void resume(fiber& next);
    void leave();
    void run_events();
    fiber* pick();
    void make_ready(fiber& which);
    static void enter();

    random_source chance_;
    nanoseconds now_{std::chrono::hours(1)};
    std::vector<event> events_;  // a heap
    std::uint64_t event_number_ = 0;
    std::vector<std::unique_ptr<fiber>> fibers_;
    std::vector<fiber*> ready_, waiting_;
    std::vector<fiber*> woken_;  // of one call; empty before and after
    fiber* running_ = nullptr;
    void* outside_ = nullptr;
    pid_t last_thread_ = 100;
};

}  // namespace simulator
