#include "tracker/account.hpp"

namespace tracker {

std::string_view to_string(verdict verdict) noexcept {
    switch (verdict) {
        case verdict::accepted: return "accepted";
        case verdict::full: return "full";
        case verdict::closed: return "closed";
        case verdict::deadline: return "deadline";
        case verdict::unwritable: return "unwritable";
    }
    return "unknown";
}

bool account::balanced() const noexcept {
    auto placed = delivered + spooled + queued;
    for (const auto& [reason, count] : dropped) placed += count;
    return accepted + recovered == placed;
}

}  // namespace tracker
