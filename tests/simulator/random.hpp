#pragma once

#include <cstdint>

namespace simulator {

/// Where every decision of a life comes from: splitmix64 (Steele, Lea and Flood, 2014). One seed, one row of numbers.
class random_source {
public:
    explicit random_source(std::uint64_t seed) noexcept : state_(seed) {}

    std::uint64_t next() noexcept {
        auto mixed = state_ += 0x9e3779b97f4a7c15;
        mixed = (mixed ^ mixed >> 30U) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ mixed >> 27U) * 0x94d049bb133111eb;
        return mixed ^ mixed >> 31U;
    }
    std::uint64_t below(std::uint64_t limit) noexcept { return limit == 0 ? 0 : next() % limit; }
    std::uint64_t upto(std::uint64_t most) noexcept { return most + 1 == 0 ? next() : next() % (most + 1); }
    std::uint64_t between(std::uint64_t least, std::uint64_t most) noexcept { return least + upto(most - least); }
    bool one_in(std::uint64_t chances) noexcept { return chances != 0 && next() % chances == 0; }

private:
    std::uint64_t state_;
};

}  // namespace simulator
