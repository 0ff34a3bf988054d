// A wall clock that jumps, for the real program: the linker sends its calls here (--wrap). Each reading is an hour
// later than the one before, and six weeks earlier now and then; steady clocks are as they are.

#include <atomic>
#include <chrono>
#include <ctime>

using std::chrono::system_clock;

// What --wrap calls them: the names are those of the Itanium C++ ABI for std::chrono::system_clock::now().
system_clock::time_point real_now() noexcept __asm__("__real__ZNSt6chrono3_V212system_clock3nowEv");
system_clock::time_point wrapped_now() noexcept __asm__("__wrap__ZNSt6chrono3_V212system_clock3nowEv");
time_t wrapped_time(time_t* to) noexcept __asm__("__wrap_time");

system_clock::time_point wrapped_now() noexcept {
    static std::atomic<unsigned> readings{0};
    return real_now() + std::chrono::hours(readings.fetch_add(1) % 1'000);
}

time_t wrapped_time(time_t* to) noexcept {
    const auto now = system_clock::to_time_t(wrapped_now());
    if (to != nullptr) *to = now;
    return now;
}
