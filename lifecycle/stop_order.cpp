#include "lifecycle/stop_order.hpp"

#include <algorithm>
#include <cassert>

namespace lifecycle {

bool stop_order::all_up() const {
    return std::all_of(parts.begin(), parts.end(), [](const part& part) { return !part.awaited || part.up; });
}

bool stop_order::all_ended() const {
    return std::all_of(parts.begin(), parts.end(), [](const part& part) { return part.ended; });
}

bool stop_order::nobody_serves() const {
    return std::all_of(parts.begin(), parts.end(), [](const part& part) { return !part.serves || part.ended; });
}

std::vector<std::string> stop_order::running() const {
    std::vector<std::string> names;
    for (const auto& part : parts)
        if (!part.ended) names.push_back(part.name);
    return names;
}

/// The index of the last part of a turn stands for all of it: of those that serve clients the one that was started
/// last, since the stop goes from the last to the first.
std::size_t stop_order::turn_of(std::size_t part) const {
    assert(part < parts.size());
    if (!parts[part].serves) return part;
    auto last = parts.size() - 1;
    while (!parts[last].serves) --last;
    assert(last >= part && "a part has its turn with its own or with a later one");
    return last;
}

std::string stop_order::name_of_turn(std::size_t turn) const {
    std::string name;
    for (std::size_t index = 0; index < parts.size(); ++index)
        if (turn_of(index) == turn) name += (name.empty() ? "" : "+") + parts[index].name;
    return name;
}

/// The next turn begins when all of this one have ended, not when one of them has.
bool stop_order::turn_has_ended(std::size_t part) const {
    for (std::size_t index = 0; index < parts.size(); ++index)
        if (turn_of(index) == turn_of(part) && !parts[index].ended) return false;
    return true;
}

/// Into how many steps a forced stop divides what is left.
std::size_t stop_order::turns() const {
    std::size_t count = 0;
    for (std::size_t turn = 0; turn < parts.size(); ++turn) count += has_a_turn(turn) ? 1 : 0;
    return count;
}

std::size_t stop_order::turns_after(std::size_t part) const {
    std::size_t count = 0;
    for (std::size_t turn = 0; turn < turn_of(part); ++turn) count += has_a_turn(turn) ? 1 : 0;
    return count;
}

/// What this part must leave: parts stop from the last to the first, so those after it have a smaller index.
stop_order::duration stop_order::reserved_after(std::size_t part) const {
    duration sum{0};
    for (std::size_t index = 0; index < parts.size(); ++index)
        if (turn_of(index) < turn_of(part)) sum += parts[index].reserved;
    return sum;
}

stop_order::duration stop_order::reserved() const {
    duration sum{0};
    for (const auto& part : parts) sum += part.reserved;
    return sum;
}

}  // namespace lifecycle
