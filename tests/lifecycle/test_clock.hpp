#pragma once

#include <chrono>

namespace fakes {

/// While one of these lives, std::chrono::steady_clock stands still in this program and goes on when it is told to.
/// Contexts ask that clock and no other, so the linker puts this one in its place: ld(1), --wrap, in
/// tests/CMakeLists.txt. One at a time, and only while no other thread runs.
class test_clock {
public:
    test_clock();
    ~test_clock();
    test_clock(const test_clock&) = delete;
    test_clock& operator=(const test_clock&) = delete;

    void advance(std::chrono::steady_clock::duration by);
};

}  // namespace fakes
