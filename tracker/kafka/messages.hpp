#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tracker/event.hpp"
#include "tracker/id_set.hpp"

namespace tracker {

/// What the producer has been given, and what has become of it, until the event is delivered: a slot for each message,
/// where its report finds it. They are looked for by their ids only while something is left of an earlier try; in the
/// usual case an event costs neither that nor memory.
///
/// Only on the worker's thread.
class messages {
public:
    struct slot {
        std::string id;
        enum class state : std::uint8_t { free, under_way, acknowledged } is = state::free;
    };

    /// A try begins; in it a message that is left of an earlier one is known by its id. Throws std::bad_alloc.
    void begin();
    /// Whether the message of this event is under way, or acknowledged, since an earlier try.
    bool knows(std::string_view id) const { return by_id_in_use_ && by_id_.contains(id); }

    /// A message that is under way from now on. It stays where it is until it is released or delivered. Throws
    /// std::bad_alloc.
    slot& add(std::string_view id);
    /// It has not been stored: the next try may send it again.
    void release(slot& message) noexcept;
    void acknowledge(slot& message) noexcept;

    std::size_t under_way() const noexcept { return under_way_; }
    bool any_under_way(std::span<const event> batch) const;

    /// All of a batch are acknowledged, and none that was added in this try has been released.
    void delivered(std::span<const event> batch) noexcept;
    /// The producer has ended: no reports come.
    void release_under_way() noexcept;

private:
    void grow();

    std::deque<slot> slots_;
    std::vector<slot*> free_;                                                           ///< has room for all
    std::vector<slot*> added_;                                                          ///< in this try
    std::unordered_multimap<std::string_view, slot*, id_hash, std::equal_to<>> by_id_;  ///< all that are not free
    bool by_id_in_use_ = false;
    std::size_t under_way_ = 0;
};

}  // namespace tracker
