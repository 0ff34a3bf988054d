#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>

namespace tracker {

/// Not noexcept: a set whose hash may throw keeps the hashes of what is in it, and they cost more than the rest here.
struct id_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view id) const { return std::hash<std::string_view>()(id); }
};

/// Ids of events under way. What is in it stays where it is until it is taken out.
using id_set = std::unordered_set<std::string, id_hash, std::equal_to<>>;

}  // namespace tracker
