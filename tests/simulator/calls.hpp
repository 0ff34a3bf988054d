#pragma once

#include <cerrno>
#include <memory>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "tests/simulator/disk.hpp"
#include "tests/simulator/network.hpp"
#include "tests/simulator/process.hpp"
#include "tests/simulator/raw.hpp"

// The functions of the C library that the program calls, defined here and so taken by the linker in place of those:
// what a simulated process asks of its kernel comes to kernel::current(). What the world outside asks goes to the real
// one.

namespace simulator {

/// The kernel, if it is a simulated process that calls; as long as this lives that thread is in a call, in which memory
/// is the real machine's.
class inside {
public:
    inside() noexcept : on_(kernel::current()), who_(on_ == nullptr ? nullptr : on_->running()) {
        if (who_ != nullptr) ++who_->calls;
    }
    ~inside() {
        if (who_ != nullptr) --who_->calls;
    }
    inside(const inside&) = delete;
    inside& operator=(const inside&) = delete;

    explicit operator bool() const noexcept { return who_ != nullptr; }
    kernel* operator->() const noexcept { return on_; }
    kernel& operator*() const noexcept { return *on_; }

private:
    kernel* on_;
    fiber* who_;
};

inline int fails_with(int error) noexcept {
    errno = error;
    return -1;
}

/// A descriptor of the real machine, in a file that the program reads there.
bool is_real(int number) noexcept;

/// Cheaper than a dynamic_cast, for kinds that are final.
template <class Kind>
requires std::is_final_v<Kind> std::shared_ptr<Kind> open_as(kernel& on, int number) {
    auto found = on.self().find(number);
    const auto* const what = found.get();
    if (what == nullptr || typeid(*what) != typeid(Kind)) return nullptr;
    return std::static_pointer_cast<Kind>(std::move(found));
}

inline nanoseconds time_of(const timespec& time) noexcept {
    return std::chrono::seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
}

inline timespec as_timespec(nanoseconds time) noexcept {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
    return {.tv_sec = seconds.count(), .tv_nsec = (time - seconds).count()};
}

/// The clock on the wall, when the other began.
inline constexpr std::chrono::seconds wall_began{1'800'000'000};

}  // namespace simulator
