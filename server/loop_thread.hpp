#pragma once

#include <poll.h>

#include <atomic>
#include <exception>
#include <span>
#include <vector>

#include "lifecycle/operation_memory.hpp"
#include "lifecycle/task_group.hpp"
#include "server/connection_lists.hpp"
#include "server/handlers.hpp"
#include "server/loop.hpp"
#include "server/loop/access.hpp"
#include "server/loop/clock.hpp"
#include "server/loop/handshake_limit.hpp"
#include "server/loop/log.hpp"
#include "server/loop/requests.hpp"
#include "server/loop/rows.hpp"
#include "server/loop/turns.hpp"
#include "server/net/poll_set.hpp"
#include "server/workspace.hpp"

namespace server {

/// A loop as its own thread has it: what its connections use, the lists of them, and the coarse tick that enforces
/// every deadline, so that no connection needs a timer. Everything here is only for that thread, but `orders`.
class loop_thread {
public:
    /// What other threads ask for; the tick does it where it could not be posted.
    enum order : unsigned { to_drain = 1, to_seal = 2, to_close = 4 };

    loop_thread(const environment& env, std::size_t index, boost::asio::io_context& io, published& seen);
    ~loop_thread();

    void run();
    void obey(unsigned orders);
    void apply(std::shared_ptr<const options> fresh) noexcept { host_.limits = std::move(fresh); }
    /// Of the connections the one that has been idle longest goes, or the one that has been sending its head for
    /// longest where the server `ends_slow_heads`. False: no connection was closed.
    bool make_room();
    /// On a server that drains, a request that has begun is answered.
    bool ends_slow_heads() const noexcept { return env_.stop == nullptr; }
    void take(std::unique_ptr<connection> connection) noexcept;
    /// From now on it serves no connection; see environment::failed. The first reason is kept.
    void fail(std::exception_ptr why) noexcept;
    lifecycle::task_group& tasks() noexcept { return tasks_; }
    std::vector<task_row> describe() const { return rows_of(connections_, tasks_); }

    // For its connections.

    host& serving() noexcept { return host_; }
    /// When the app gives up; empty: never.
    const lifecycle::stop_channel::deadline_function& deadline() const noexcept { return env_.deadline; }
    /// What connections speak through; nullptr: in clear.
    const layer_source* layers() const noexcept { return env_.secure.get(); }
    poll_set& sockets() noexcept { return sockets_; }
    boost::asio::io_context& context() noexcept { return io_; }
    /// nullptr: HTTP/2 is not spoken.
    session_source* http2() const noexcept { return env_.http2.get(); }
    workspace_pool& workspaces() noexcept { return workspaces_; }
    server::handlers& handlers() noexcept { return handlers_; }
    std::span<char> scratch() noexcept { return scratch_; }
    /// Whether that client may have one more connection, which is counted as long as `share` lives. False where there
    /// is no memory to count it.
    bool has_place_for(const socket_address& client, client_table::share& share) noexcept;
    moment now() { return clock_.now(); }
    /// Whether one more client that has sent its hello is dealt with in this turn.
    bool may_shake_hands() noexcept { return handshakes_.admits(sockets_.turn()); }
    loop_log& log() noexcept { return log_; }
    loop_access_log& access() noexcept { return access_; }
    loop_requests& requests() noexcept { return requests_; }
    loop_account& account() noexcept { return seen_.account; }
    void account_for(const account_changes& some) noexcept {
        if (some.any()) seen_.account.add(some);
    }
    void let_others_go_first(connection& connection) { turns_.let_others_go_first(connection); }
    void moved(connection& connection, listing from, listing to) {
        connections_.move(connection, from, to);
        seen_.account.idle.set(connections_.count(listing::waits));
    }
    /// It no longer exists after this.
    static void remove(connection& connection) noexcept { delete &connection; }
    /// `as`: the list that it was in.
    void left(connection& connection, listing as);

    std::atomic<unsigned> orders{0};  ///< that could not be posted

private:
    struct running;
    void note_stop(std::uint64_t nth);
    void reserve_timers();
    void begin_tick();
    lifecycle::awaitable<> tick();
    void attempt_tick(lifecycle::clock::time_point now, lifecycle::clock::duration lag) noexcept;
    void on_tick(lifecycle::clock::time_point now);
    drain_view drain_now() const;
    static void look_after(connection_lists::list& some, const drain_view& drain, const moment& at);
    void look_after_late(const drain_view& drain, const moment& at);
    void look_for_gone_clients();
    lifecycle::clock::time_point warn_at(lifecycle::clock::time_point end) const;
    void warn_of_late();
    void end_if_empty();
    void update_date();
    void publish_idle();
    void publish_states();

    const environment& env_;
    const std::size_t index_;
    boost::asio::io_context& io_;
    published& seen_;
    loop_clock clock_;
    host host_;
    lifecycle::loop_timer timer_;
    poll_set sockets_;
    workspace_pool workspaces_;
    connection_lists connections_;
    std::vector<char> scratch_;
    std::vector<pollfd> watched_;  ///< of look_for_gone_clients, kept for their memory
    std::vector<connection*> watched_by_;
    loop_turns turns_;
    handshake_limit handshakes_;
    loop_log log_;
    loop_access_log access_;
    loop_requests requests_;
    std::time_t date_second_ = 0;
    bool draining_ = false, sealed_ = false, closing_ = false, ended_ = false, warned_ = false, failed_ = false;
    lifecycle::operation_memory* kept_back_ = nullptr;  ///< while it runs
    lifecycle::clock::time_point drain_began_{};
    lifecycle::clock::time_point idle_until_{};
    lifecycle::clock::time_point next_idle_look_{};
    lifecycle::task_group tasks_;  // it asserts that it is empty
    server::handlers handlers_;
};

}  // namespace server
