#pragma once

#include <chrono>
#include <csignal>
#include <memory>
#include <optional>

#include "lifecycle/start_guard.hpp"

namespace lifecycle {

/// What main's thread waits for; blocked everywhere, from the first instruction (cmd/service/entry.cpp).
inline constexpr int watched_signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR2};

/// The signals of the process, as descriptors that main's thread polls.
///
/// Made at the top of main, before any library can start a thread: every thread then inherits the mask, in which these
/// are blocked and no others, whatever the parent had blocked. A signal that comes before the service is ready waits in
/// the kernel. SIGPIPE and SIGXFSZ are ignored. Only on main's thread.
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
    /// kernel calls `_exit(3)` after this long. Arming again moves it; 0 disarms. Where the process is frozen at that
    /// moment, it has 2 s more from when it goes on, once.
    void arm_hard_stop(std::chrono::milliseconds after);

    /// Between here and `start_is_over` main's thread opens files, on which it may hang, and does not look at signals:
    /// a thread does, see start_guard. With the first SIGTERM or SIGINT it arms the hard stop, which comes `grace`
    /// after the budget, should what it has to say hang too; the signal waits for main as any other. Calling again
    /// changes the limits. Where the kernel has no thread for it the start goes on without.
    void guard_start(start_guard::limits limits, std::chrono::milliseconds grace);
    /// What main's thread opens next, by the name of a setting; for the guard's line.
    void starting(const char* what) noexcept;
    /// Before the first thread of a part. A hard stop that is armed is not put off any more.
    void start_is_over();

    /// This long no thread has run: what was not to be put off any more has moved by it.
    void was_frozen(std::chrono::milliseconds gap);

    /// The exit code is known, and all that is left is to destroy: should that hang, the hard stop ends with this code.
    void settle(int code);

private:
    bool make_timer(int code);

    int descriptor_;
    void* timer_ = nullptr;
    bool had_terminal_;
    std::optional<std::chrono::steady_clock::time_point> latest_;  ///< of the hard stop, when the start was guarded
    std::unique_ptr<start_guard> guard_;
};

}  // namespace lifecycle
