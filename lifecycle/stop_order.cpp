#include "lifecycle/stop_order.hpp"

#include <algorithm>
#include <cassert>

namespace lifecycle {

bool stop_order::all_up() const {
    return std::all_of(parts.begin(), parts.end(), [](const part& one) { return !one.awaited || one.up; });
}

bool stop_order::all_ended() const {
    return std::all_of(parts.begin(), parts.end(), [](const part& one) { return one.ended; });
}

bool stop_order::nobody_serves() const {
    return std::all_of(parts.begin(), parts.end(), [](const part& one) { return !one.serves || one.ended; });
}

std::vector<std::string> stop_order::running() const {
    std::vector<std::string> names;
    for (const auto& one : parts)
        if (!one.ended) names.push_back(one.name);
    return names;
}

std::size_t stop_order::turn_of(std::size_t part) const {
    assert(part < parts.size());
    if (!parts[part].serves) return part;
    auto last = parts.size() - 1;
    while (!parts[last].serves) --last;
    return last;
}

std::string stop_order::name_of_turn(std::size_t turn) const {
    std::string name;
    for (std::size_t one = 0; one < parts.size(); ++one)
        if (turn_of(one) == turn) name += (name.empty() ? "" : "+") + parts[one].name;
    return name;
}

bool stop_order::home(std::size_t part) const {
    for (std::size_t one = 0; one < parts.size(); ++one)
        if (turn_of(one) == turn_of(part) && !parts[one].ended) return false;
    return true;
}

std::size_t stop_order::turns() const {
    std::size_t count = 0;
    for (std::size_t one = 0; one < parts.size(); ++one) count += has_a_turn(one) ? 1 : 0;
    return count;
}

std::size_t stop_order::turns_after(std::size_t part) const {
    std::size_t count = 0;
    for (std::size_t one = 0; one < turn_of(part); ++one) count += has_a_turn(one) ? 1 : 0;
    return count;
}

stop_order::duration stop_order::reserved_after(std::size_t part) const {
    duration sum{0};
    for (std::size_t one = 0; one < parts.size(); ++one)
        if (turn_of(one) < turn_of(part)) sum += parts[one].reserved;
    return sum;
}

stop_order::duration stop_order::reserved() const {
    duration sum{0};
    for (const auto& one : parts) sum += one.reserved;
    return sum;
}

}  // namespace lifecycle
