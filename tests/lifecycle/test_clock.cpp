#include "tests/lifecycle/test_clock.hpp"

#include <atomic>

namespace {

using clock = std::chrono::steady_clock;

std::atomic<clock::duration> stands_at{clock::duration::zero()};  // zero: it runs

}  // namespace

// What --wrap calls them: the names are those of the Itanium C++ ABI for std::chrono::steady_clock::now().
clock::time_point real_now() noexcept __asm__("__real__ZNSt6chrono3_V212steady_clock3nowEv");
clock::time_point wrapped_now() noexcept __asm__("__wrap__ZNSt6chrono3_V212steady_clock3nowEv");

clock::time_point wrapped_now() noexcept {
    const auto at = stands_at.load(std::memory_order_relaxed);
    return at == clock::duration::zero() ? real_now() : clock::time_point(at);
}

namespace fakes {

test_clock::test_clock() { stands_at = real_now().time_since_epoch(); }
test_clock::~test_clock() { stands_at = clock::duration::zero(); }
void test_clock::advance(clock::duration by) { stands_at = stands_at.load() + by; }

}  // namespace fakes
