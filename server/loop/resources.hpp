#pragma once

#include <boost/asio/io_context.hpp>
#include <span>
#include <vector>

#include "lifecycle/task_group.hpp"
#include "server/client_table.hpp"
#include "server/handlers.hpp"
#include "server/loop.hpp"
#include "server/loop/access.hpp"
#include "server/loop/clock.hpp"
#include "server/loop/connections.hpp"
#include "server/loop/drain.hpp"
#include "server/loop/handshake_limit.hpp"
#include "server/loop/log.hpp"
#include "server/loop/requests.hpp"
#include "server/loop/turns.hpp"
#include "server/net/poll_set.hpp"
#include "server/workspace.hpp"

namespace server {

/// What the connections of a loop have from it, and where they say what has become of them. How the loop runs and ends
/// is no business of theirs: see loop_thread, which owns this.
///
/// Made on any thread, then only on the loop's; what it is given outlives it.
class loop_resources {
public:
    loop_resources(const environment& env, std::size_t index, boost::asio::io_context& io, published& seen,
                   loop_drain& drain);
    loop_resources(const loop_resources&) = delete;
    loop_resources& operator=(const loop_resources&) = delete;

    // What the server has.

    host& serving() noexcept { return host_; }
    /// When the app gives up; empty: never.
    const lifecycle::stop_channel::deadline_function& deadline() const noexcept { return env_.deadline; }
    /// What connections speak through; nullptr: in clear.
    const layer_source* layers() const noexcept { return env_.secure.get(); }
    /// nullptr: HTTP/2 is not spoken.
    session_source* http2() const noexcept { return env_.http2.get(); }
    /// Whether that client may have one more connection, which is counted as long as `share` lives. False where there
    /// is no memory to count it.
    bool has_place_for(const socket_address& client, client_table::share& share) noexcept;

    // What the loop has.

    moment now() { return clock_.now(); }
    /// When the next of the sockets that are ready has its turn.
    moment next() { return clock_.next_in(sockets_.turn()); }
    loop_clock& clock() noexcept { return clock_; }
    boost::asio::io_context& context() noexcept { return io_; }
    poll_set& sockets() noexcept { return sockets_; }
    workspace_pool& workspaces() noexcept { return workspaces_; }
    std::span<char> scratch() noexcept { return scratch_; }
    server::handlers& handlers() noexcept { return handlers_; }
    lifecycle::task_group& tasks() noexcept { return tasks_; }
    const lifecycle::task_group& tasks() const noexcept { return tasks_; }
    /// Whether one more client that has sent its hello is dealt with in this turn.
    bool may_shake_hands() noexcept { return handshakes_.admits(sockets_.turn()); }
    loop_turns& turns() noexcept { return turns_; }

    // What is said to it.

    loop_connections& connections() noexcept { return connections_; }
    const loop_connections& connections() const noexcept { return connections_; }
    loop_requests& requests() noexcept { return requests_; }
    loop_log& log() noexcept { return log_; }
    loop_access_log& access() noexcept { return access_; }
    loop_account& account() noexcept { return seen_.account; }
    void account_for(const account_changes& some) noexcept {
        if (some.any()) seen_.account.add(some);
    }

private:
    const environment& env_;
    boost::asio::io_context& io_;
    published& seen_;
    loop_clock clock_;
    host host_;
    poll_set sockets_;
    workspace_pool workspaces_;
    std::vector<char> scratch_;
    loop_turns turns_;
    handshake_limit handshakes_;
    loop_connections connections_;
    loop_log log_;
    loop_access_log access_;
    loop_requests requests_;
    lifecycle::task_group tasks_;  // it asserts that it is empty
    server::handlers handlers_;
};

}  // namespace server
