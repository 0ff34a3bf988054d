#pragma once

#include <chrono>
#include <csignal>

namespace lifecycle {

/// What main's thread waits for; blocked everywhere, from the first instruction (cmd/service/entry.cpp).
inline constexpr int watched_signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR2};

/// The signals of the process, as descriptors that main's thread polls.
///
/// Made at the top of main, before any library can start a thread: every thread then inherits the
/// blocked mask, and a signal that comes before the service is ready waits in the kernel. SIGPIPE and
/// SIGXFSZ are ignored. Only on main's thread.
class signals {
public:
    enum class kind { none, stop, reload, stacks, upgrade };
    struct received {
        kind what = kind::none;
        const char* name = "";
    };

    /// Throws std::system_error when the kernel has no descriptor or timer for it.
    signals();
    ~signals();
    signals(const signals&) = delete;
    signals& operator=(const signals&) = delete;

    int descriptor() const noexcept { return descriptor_; }

    /// The next signal, or `none`. Never blocks. SIGHUP is a stop where stderr was a terminal at
    /// start (the terminal is gone), a reload elsewhere.
    received next();

    /// What makes the last word true that the process ends in time, whatever main's thread does: the
    /// kernel calls `_exit(3)` after so long. Arming again moves it; 0 disarms.
    void arm_hard_stop(std::chrono::milliseconds after);

private:
    int descriptor_;
    void* timer_ = nullptr;
    bool had_terminal_;
};

}  // namespace lifecycle
