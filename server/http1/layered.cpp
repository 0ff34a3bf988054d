// What a layer between a connection and its socket, TLS, has to say to its machine.

#include <algorithm>
#include <cassert>
#include <utility>

#include "server/http1/machine.hpp"

namespace server {

/// The deadline stays the one that it was accepted with.
void http1_machine::opened(const moment& at) noexcept {
    assert(state_ == state::fresh);
    flags_.shook_hands = true;
    flags_.stirs = false;
    since_ = at.now;
}

void http1_machine::change_over() noexcept {
    assert(state_ == state::fresh);
    waits_ = waiting::nothing;
    go(phase::hand_over);
}

/// From the first byte of a record to its end it has as long as for a head.
void http1_machine::stirred(const moment& at) noexcept {
    if (!waits_for_request() || std::exchange(flags_.stirs, true)) return;
    deadline_ = std::min(deadline_, at.now + limits().header_timeout);
}

void http1_machine::turned_away() noexcept {
    waits_ = waiting::nothing;
    flags_.ending = flags_.linger = true;
    end_ = {'P', 'R'};
    go(phase::say_goodbye);
}

void http1_machine::refuse_clear(const moment& at) {
    waits_ = waiting::nothing;
    refuse(rule::clear_text, {'P', 'R'}, at);
    go(phase::say_goodbye);
}

void http1_machine::said_farewell() noexcept {
    flags_.blocked = false;
    go(phase::part);
}

}  // namespace server
