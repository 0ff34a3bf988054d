#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace tracker {

/// What became of an event that was offered.
enum class verdict : std::uint8_t {
    accepted,   ///< it is as durable as the settings say; it will be in the account to the end
    full,       ///< the queue has no room and the policy is not to wait
    closed,     ///< the tracker has been asked to stop
    deadline,   ///< the context ended before there was room
    unwritable  ///< the disk does not take it: it could not be made as durable as the settings say
};

std::string_view to_string(verdict verdict) noexcept;

/// Where every accepted event is.
///
/// The law: accepted + recovered == delivered + spooled + dropped + queued, at every moment, and
/// queued is 0 at the end.
struct account {
    std::uint64_t accepted = 0;
    std::uint64_t recovered = 0;
    std::uint64_t delivered = 0;
    std::uint64_t spooled = 0;
    std::map<std::string, std::uint64_t> dropped;  ///< by reason: "overflow", "deadline", "dead_letter" …
    std::uint64_t queued = 0;                      ///< accepted and not yet in another column
    std::uint64_t refused = 0;                     ///< never accepted; not part of the law

    bool balanced() const noexcept;
};

}  // namespace tracker
