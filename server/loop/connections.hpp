#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "server/loop.hpp"
#include "server/loop/clock.hpp"
#include "server/loop/drain.hpp"
#include "server/loop/lists.hpp"
#include "server/loop/turns.hpp"

namespace server {

/// The connections that a loop has, from the first moment of each to its last: in which list it is, what is counted of
/// all, and what is said to all.
///
/// Only on the loop's thread; what it is given outlives it. Each connection that it is told of may end in that moment.
class loop_connections {
public:
    loop_connections(published& seen, loop_clock& clock, loop_turns& turns, loop_drain& drain) noexcept
        : seen_(seen), clock_(clock), turns_(turns), drain_(drain) {}

    // Of one.

    /// It has begun at that moment, and belongs to itself until its end.
    void add(std::unique_ptr<connection> begun, const moment& at) noexcept;
    void moved(connection& which, listing from, listing to) {
        lists_.move(which, from, to);
        seen_.account.idle.set(lists_.count(listing::waits));
    }
    /// It no longer exists after this.
    static void remove(connection& which) noexcept { delete &which; }
    /// It ends; `as`: the list that it was in.
    void left(connection& which, listing as);
    /// The one that has been idle longest goes, or, if `heads_too`, the one that has been sending its head for longest.
    /// False: no connection was closed.
    bool make_room(bool heads_too);

    // Of all.

    /// The stop of that number has begun; see loop_clock.
    void note_stop(std::uint64_t nth);
    void cut();
    /// The tick has come for those of a list, and for those that have waited for too long.
    void tick(listing as, const drain_view& drain, const moment& at);
    void tick_late(const options& limits, const drain_view& drain, const moment& at);
    /// What others see of them that is not counted event by event.
    void publish() noexcept;

    connection_lists& lists() noexcept { return lists_; }
    const connection_lists& lists() const noexcept { return lists_; }

private:
    void publish_idle() noexcept;

    published& seen_;
    loop_clock& clock_;
    loop_turns& turns_;
    loop_drain& drain_;
    connection_lists lists_;
};

}  // namespace server
