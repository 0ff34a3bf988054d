// A wall clock that jumps, for the real program: the linker sends its calls here (--wrap). Each reading is an hour
// later than the one before, and six weeks earlier now and then; steady clocks are as they are.

#include <atomic>
#include <chrono>
#include <ctime>

// NOLINTBEGIN: the linker's names
extern "C" {
std::chrono::system_clock::time_point __real__ZNSt6chrono3_V212system_clock3nowEv();
std::chrono::system_clock::time_point __wrap__ZNSt6chrono3_V212system_clock3nowEv();
time_t __wrap_time(time_t* to);
}

std::chrono::system_clock::time_point __wrap__ZNSt6chrono3_V212system_clock3nowEv() {
    static std::atomic<unsigned> readings{0};
    return __real__ZNSt6chrono3_V212system_clock3nowEv() + std::chrono::hours(readings.fetch_add(1) % 1'000);
}

time_t __wrap_time(time_t* to) {
    const auto now = std::chrono::system_clock::to_time_t(__wrap__ZNSt6chrono3_V212system_clock3nowEv());
    if (to != nullptr) *to = now;
    return now;
}
// NOLINTEND
