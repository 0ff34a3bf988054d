#pragma once

#include "server/connection.hpp"
#include "server/loop.hpp"
#include "server/loop/access.hpp"
#include "server/loop/log.hpp"
#include "server/loop/stall_watch.hpp"

namespace server {

/// The requests of a loop that have been admitted, to the end of the answer of each: what is counted of them, by loop
/// and by route, and which logs and observers are told.
///
/// Only on the loop's thread; what it is given outlives it.
class loop_requests {
public:
    loop_requests(const environment& env, published& seen, host& serving, loop_log& log,
                  loop_access_log& access) noexcept
        : env_(env), seen_(seen), host_(serving), log_(log), access_(access) {}

    /// A handler is entered, and left: `connection` has its reply.
    void enters(const route& to) noexcept {
        seen_.entered.store(&to, std::memory_order_relaxed);
        seen_.account.in_flight.add();
        seen_.account.enters.store(false, std::memory_order_release);
        seen_.routes[to.index].in_flight.add();
    }
    void leaves(const connection& connection, const route& to, http::status status, lifecycle::clock::time_point now);
    /// A handler does not end with its context, or returns after all. `which`: an address that no other request has.
    void straggles(const connection& late, const void* which);
    void returned_late(const void* which) noexcept { seen_.late.remove(which); }
    /// An answer stands, and then its request is over. False: the access log leaves it out.
    bool note(const answer_row& row, const connection& of);
    void answered(const connection& connection, http::status status) {
        if (env_.routes.observe) env_.routes.observe(connection, status, false);
        seen_.entered.store(nullptr, std::memory_order_relaxed);
    }
    /// What has been refused was no whole request, or came in another protocol.
    void note_refusal(const answer_row& row, const connection_parts& of);

    /// What holds up the loop: the tick says when it is late.
    stall_watch& stalls() noexcept { return stalls_; }

private:
    const environment& env_;
    published& seen_;
    host& host_;
    loop_log& log_;
    loop_access_log& access_;
    stall_watch stalls_;
};

}  // namespace server
