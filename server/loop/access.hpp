#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <span>
#include <string_view>

#include "lifecycle/lines.hpp"
#include "server/access_log.hpp"
#include "server/connection.hpp"
#include "server/loop.hpp"
#include "server/net/poll_set.hpp"

namespace server {

/// What the access log has of the connections of a loop: a line for each answer, for each refusal that answers nothing,
/// and for the end of each connection. The lines of a turn go out together, when all sockets that are ready have been
/// seen to, or else with what the turn has posted.
///
/// Only on the loop's thread; what it is given outlives it. A line for which there is no memory is left out.
class loop_access_log {
public:
    loop_access_log(const environment& env, boost::asio::io_context& io, const poll_set& sockets) noexcept
        : env_(env), io_(io), sockets_(sockets) {}

    /// Its answer stands. False: the request is one that the log is to leave out.
    bool answered(const answer_row& row, const connection_parts& of) { return !wants(of) || add_answer(row, of); }
    /// What has been refused was no whole request, or came in another protocol.
    void refused(const answer_row& row, const connection_parts& of);
    /// One line a connection, beside those of its requests: were these resets ours?
    void ended(const connection_parts& of) noexcept;

    /// At the end of a turn.
    void write() noexcept { lines_.write(*env_.access); }
    /// At each tick: lines have their time by the wall clock as it was then; see access_lines.
    void compare_clocks() noexcept { lines_.compare_clocks(); }

private:
    bool wants(const connection_parts& of) const { return of.limits().access_log && env_.access->wanted(); }
    bool add_answer(const answer_row& row, const connection_parts& of);
    void add_facts(const answer_row& row, const connection_parts& of) noexcept;
    void add(lifecycle::clock::time_point when, std::string_view text,
             std::span<const lifecycle::log_fact> facts = {}) noexcept;

    /// Clients as text, without ports. That of the last one is kept: a connection has several lines in a row.
    class client_text {
    public:
        /// Valid until it is asked again.
        std::string_view of(const socket_address& client) {
            if (size_ == 0 || client != known_) write(client);
            return {text_.data(), size_};
        }

    private:
        void write(const socket_address& client);

        socket_address known_;
        std::size_t size_ = 0;
        std::array<char, longest_address> text_;
    };

    const environment& env_;
    boost::asio::io_context& io_;
    const poll_set& sockets_;
    access_lines lines_;  ///< of this turn
    client_text client_;
};

}  // namespace server
