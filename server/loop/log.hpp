#pragma once

#include <spdlog/logger.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string_view>

#include "server/loop/line_limit.hpp"
#include "server/loop/stall_watch.hpp"
#include "server/rule.hpp"

namespace server {

class connection_parts;
class socket_address;

/// What a loop says in the log of the program about itself and its connections. What clients can bring about as often
/// as they like has a line a second at most, which says how often it has been so far.
///
/// Only on the loop's thread; the log and the name outlive it. A line for which there is no memory is left out by those
/// functions that do not throw, and the others throw std::bad_alloc.
class loop_log {
public:
    using time_point = lifecycle::clock::time_point;

    /// `server` is the name of the server that the loop with this number, from 0, is one of.
    loop_log(spdlog::logger& log, std::string_view server, std::size_t index) noexcept
        : log_(log), server_(server), nth_(index + 1) {}

    /// A connection is closed because memory has run out, or for a reason as bad.
    void lost_connection(const char* why, time_point now = lifecycle::clock::now()) noexcept;
    /// The handshake of a client has failed.
    void no_handshake(std::string_view why, const socket_address& with,
                      time_point now = lifecycle::clock::now()) noexcept;
    /// A peer speaks another protocol, by what its first bytes look like, or the PROXY protocol badly: for the nth
    /// time.
    void other_protocol(rule looks_like, const socket_address& peer, std::uint64_t nth,
                        time_point now = lifecycle::clock::now()) noexcept;
    /// A handler, or the source of a response, has thrown.
    void failure(const connection_parts& of, const std::exception_ptr& thrown) noexcept;
    void tick_failed(const char* why) noexcept;

    /// A handler does not end with its context; `where` it waits may be empty.
    void straggles(const connection_parts& late, std::chrono::milliseconds age, std::string_view where);
    void stood_still(const stall_watch::finding& found);
    /// The drain takes long, for this connection and for that many more requests.
    void drain_waits_for(const connection_parts& late, std::chrono::milliseconds age, std::string_view where);
    void drain_waits_for(std::size_t more);

private:
    spdlog::logger& log_;
    const std::string_view server_;
    const std::size_t nth_;
    std::uint64_t lost_ = 0;
    std::uint64_t failed_handshakes_ = 0;
    line_limit losses_, handshakes_, meetings_;
};

}  // namespace server
