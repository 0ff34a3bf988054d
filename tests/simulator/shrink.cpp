#include "tests/simulator/shrink.hpp"

#include <algorithm>
#include <utility>

namespace simulator {
namespace {

/// Leaves out as many of `all` as it can.
template <class Element, class Fails>
bool thin(std::vector<Element>& all, const Fails& still_fails) {
    bool any = false;
    for (auto size = std::max<std::size_t>(all.size() / 2, 1); !all.empty(); size /= 2) {
        for (std::size_t from = 0; from < all.size();) {
            const auto before = all;
            const auto to = std::min(from + size, all.size());
            all.erase(all.begin() + static_cast<std::ptrdiff_t>(from), all.begin() + static_cast<std::ptrdiff_t>(to));
            if (still_fails()) {
                any = true;
                continue;
            }
            all = before;
            from = to;
        }
        if (size <= 1) break;
    }
    return any;
}

/// The first of the values that will do.
template <class Fails>
bool simplify(std::uint64_t& value, std::initializer_list<std::uint64_t> simpler, const Fails& still_fails) {
    for (const auto other : simpler) {
        if (value == other) return false;
        const auto before = std::exchange(value, other);
        if (still_fails()) return true;
        value = before;
    }
    return false;
}

constexpr std::uint64_t round(std::uint64_t number) { return number - number % 1'000; }

}  // namespace

plan shrink(plan failing, const failure& found, const std::function<std::optional<failure>(const plan&)>& run) {
    const auto still = [&] {
        if (!fault_of(failing).empty()) return false;
        const auto how = run(failing);
        return how && how->is_like(found);
    };
    for (bool any = true; any;) {
        any = thin(failing.lives, still);
        for (std::size_t nth = 0; nth < failing.lives.size(); ++nth)
            any = thin(failing.lives[nth].actions, still) || any;
    }
    for (auto& [name, value] : failing.settings) simplify(value, {0, 1}, still);
    for (auto& life : failing.lives) {
        simplify(life.length, {20'000, round(life.length)}, still);
        for (auto& each : life.actions) {
            simplify(each.at, {0, round(each.at)}, still);
            simplify(each.c, {0, 1, 10, 100}, still);
        }
    }
    return failing;
}

}  // namespace simulator
