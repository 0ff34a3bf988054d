#pragma once

#include <poll.h>
#include <spdlog/logger.h>

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/intrusive/list.hpp>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "lifecycle/shutdown_report.hpp"
#include "lifecycle/stop_channel.hpp"
#include "lifecycle/task_group.hpp"
#include "server/access_log.hpp"
#include "server/connection.hpp"
#include "server/metrics.hpp"
#include "server/options.hpp"
#include "server/router.hpp"
#include "server/rule.hpp"

namespace server {

/// What the loops of one server share. Nothing in it changes while they run.
struct environment {
    std::shared_ptr<const options> limits;  ///< of the start; see loop::limits
    const router& routes;
    spdlog::logger& log;
    std::shared_ptr<access_log> access;
    const lifecycle::stop_channel* stop;  ///< nullptr: a server that does not drain (debug)
    lifecycle::stop_channel::deadline_function deadline;
    std::string name;  ///< "app", "debug"
    /// May another request go to a handler, be it in one of the last places?
    std::function<bool(const class loop&, bool to_the_last)> admit;
    std::function<lifecycle::clock::time_point()> crowded_until;  ///< on any loop; see loop::refused
    std::function<void(const loop&, std::exception_ptr)> failed;  ///< it serves nobody any more
};

/// What a loop has counted: written by its thread, read by any.
struct loop_account {
    counter open, idle, accepted, in_flight, requests;
    std::array<counter, rules> refused;  ///< by rule
    counter under_way;      ///< requests that have begun and not ended: half heads, in handlers, answers not yet sent
    counter oldest_idle;    ///< steady_clock ticks; 0: none is idle
    counter crowded_until;  ///< steady_clock ticks
    counter turns;
    counter turned_at;  ///< steady_clock ticks of the last turn; 0: does not run
    histogram lag;
    std::array<counter, connection_states> in_state;  ///< as of the last tick

    // Since a stop began; see shutdown_report. `noted` is 0 as long as this loop does not know of it.
    counter noted;
    counter open_at_stop, accepted_after, closed_idle, finished, forced;
    counter in_flight_at_stop, begun_after, requests_finished, requests_cut, requests_gone;
};

/// How a request that has begun ends: with its answer in the socket, by us, or because its client left first.
enum class request_end : std::uint8_t { finished, cut, gone };

/// A live connection or task as `/debug/tasks` shows it.
struct task_row {
    std::string name, kind, state, where;
    std::chrono::milliseconds age;
    std::string trace = {};            ///< the id
    std::string target = {};           ///< of a request, "/slow?ms=500"
    std::string client = {};           ///< "127.0.0.1:54321"; empty when it is none
    std::chrono::milliseconds left{};  ///< of a request, until its deadline
};

/// One thread, one `io_context(1)`, and the connections that live on it. A coarse tick enforces every
/// deadline, so that no connection needs a timer.
///
/// Owned by its server, which runs `run` on a thread and joins it. `run` returns when the loop has
/// been asked to drain or close and its last task is home. Memory that is not to be had costs the connection that
/// wanted it. A loop that cannot go on says so at once (environment::failed), closes what it has, and turns until then.
/// Safe from any thread: what stands before the line that says otherwise; `last_entered` in a signal handler too.
class loop {
public:
    static constexpr std::chrono::milliseconds usual_tick{50};
    static constexpr std::chrono::milliseconds standstill{50};  ///< of a tick that is so late

    loop(const environment& env, std::size_t index);
    ~loop();

    void run();

    /// Takes over a connection; closes it and throws when the kernel cannot watch it, or there is no memory.
    void adopt(int descriptor, boost::asio::ip::tcp::endpoint peer);
    /// Begins the drain: no listener feeds this loop any more, or one that is late.
    void drain();
    /// Nothing more is adopted, so that a loop which drains may end.
    void seal();
    /// Closes everything at once.
    void close();
    /// From its next turn on new work is under these limits.
    void apply(std::shared_ptr<const options> fresh);
    /// Closes the connection that has been idle longest, if one is.
    void make_room();

    const loop_account& account() const noexcept { return account_; }
    const std::vector<endpoint_metrics>& endpoints() const noexcept { return endpoints_; }
    boost::asio::io_context& context() noexcept { return io_; }
    std::size_t index() const noexcept { return index_; }
    pid_t thread() const noexcept { return thread_.load(std::memory_order_relaxed); }
    /// The endpoint whose handler was entered last and has not answered: what a wedged loop runs, most likely, if not
    /// one that has waited meanwhile. nullptr: it has. Also for signal handlers.
    const endpoint* last_entered() const noexcept { return entered_.load(std::memory_order_relaxed); }
    /// How long ago it turned last; none: it does not run. At rest it turns at each tick.
    std::optional<std::chrono::milliseconds> stall() const noexcept;
    /// Handlers that have been answered in place of and have not returned, by name.
    std::vector<lifecycle::shutdown_report::straggler> stragglers() const;

    // For the connections, the listener and the server, on the loop's thread.

    const environment& env() const noexcept { return env_; }
    /// Those in force. Who begins something takes them, and keeps them until it is over.
    const std::shared_ptr<const options>& limits() const noexcept { return limits_; }
    lifecycle::task_group& tasks() noexcept { return tasks_; }
    loop_account& counts() noexcept { return account_; }
    endpoint_metrics& metrics_of(std::size_t endpoint) noexcept { return endpoints_[endpoint]; }
    void entering(const endpoint* one) noexcept { entered_.store(one, std::memory_order_relaxed); }
    workspace_pool& workspaces() noexcept { return workspaces_; }
    void resume(connection& rested);
    void drop(connection& rested) noexcept { tasks_.drop(rested); }
    /// A connection is closed for want of memory, or of something as bad.
    void lost_connection(const char* why) noexcept;
    /// A client speaks another protocol, by what its first bytes look like; a line says so now and then.
    void meets(rule other, const boost::asio::ip::tcp::endpoint& client) noexcept;
    /// From now on it serves nobody; see environment::failed. The first reason stays.
    void fail(std::exception_ptr why) noexcept;
    std::string_view date() const noexcept { return date_; }
    std::string_view make_request_id(std::array<char, 16>& into) noexcept;
    /// True from the first moment of a stop: responses say `Connection: close`.
    bool stopping() {
        const bool now = env_.stop != nullptr && env_.stop->stopping();
        if (now != stop_noted_) note_stop(now);
        return now;
    }
    /// A request has found no place. That makes a crowd, until the client has had time to come back.
    void refused(lifecycle::clock::time_point now);
    /// Others were refused lately, here or, since the last tick, on another loop.
    bool crowded() const noexcept { return crowded_; }
    std::span<char> scratch() noexcept { return scratch_; }
    void straggles(const connection& late);
    /// A tick that has not come by then is a loop that stands still, and whose handler returns first has held it up.
    lifecycle::clock::time_point stands_still_after() const noexcept { return stands_still_after_; }
    void held_up_by(const connection& one);
    /// The account of requests: each that begins ends once. They begin with their first byte.
    void request_began() noexcept;
    void requests_ended(request_end how, std::uint64_t count) noexcept;
    void moved(connection& one, bool was_waiting, bool waits);
    void left(connection& one);
    /// Its handler is about to be called with earlier answers unsent. If it suspends, they are sent in the next
    /// turn; if not, they go with its own, in one write.
    void flush_soon(connection& one);
    /// A line of the access log. It goes out with the others of this turn, which ends with what it has posted.
    void log_access(std::string_view text) noexcept;
    std::vector<task_row> describe() const;

private:
    using connections = boost::intrusive::list<connection, boost::intrusive::base_hook<activity_hook>,
                                               boost::intrusive::constant_time_size<false>>;

    /// What other threads ask for; the tick sees to it where it could not be posted.
    enum order : unsigned { to_drain = 1, to_seal = 2, to_close = 4 };
    void give(order one) noexcept;
    void obey(unsigned orders);
    void take(stream_socket socket, boost::asio::ip::tcp::endpoint peer) noexcept;
    void reserve_timers();

    void note_stop(bool begun);
    lifecycle::awaitable<> tick();
    void attempt_tick(lifecycle::clock::time_point now, lifecycle::clock::duration lag) noexcept;
    void on_tick(lifecycle::clock::time_point now);
    drain_view drain_now() const;
    void look_after(connections& list, const drain_view& drain, lifecycle::clock::time_point now);
    void look_for_gone_clients();
    lifecycle::clock::time_point warn_at(lifecycle::clock::time_point end) const;
    void warn_of_late();
    void warn_of_standstill(lifecycle::clock::duration lag);
    void end_if_empty();
    void update_date();
    void publish_idle();
    void publish_states();

    const environment& env_;
    const std::size_t index_;
    boost::asio::io_context io_{1};
    lifecycle::loop_timer timer_;
    std::shared_ptr<const options> limits_;
    workspace_pool workspaces_;
    connections idle_;  ///< fresh and idle, the longest first
    connections busy_;
    loop_account account_;
    std::vector<endpoint_metrics> endpoints_;
    std::atomic<pid_t> thread_{0};
    std::atomic<const endpoint*> entered_{nullptr};
    std::string date_;
    std::time_t date_second_ = 0;
    std::array<char, 16> last_id_;  ///< hexadecimal digits, random in the first half
    std::vector<char> scratch_;
    std::vector<pollfd> watched_;  ///< of look_for_gone_clients, kept for their memory
    std::vector<connection*> watched_by_;
    std::vector<connection*> to_flush_;
    access_lines access_lines_;  ///< of this turn
    std::size_t idle_count_ = 0;
    bool crowded_ = false;
    bool stop_noted_ = false;
    bool draining_ = false;
    bool sealed_ = false;
    bool closing_ = false;
    bool ended_ = false;
    bool warned_ = false;
    bool failed_ = false;
    std::atomic<unsigned> orders_{0};  ///< that could not be posted
    std::uint64_t lost_ = 0;           ///< connections, for want of memory
    lifecycle::clock::time_point next_loss_warning_{};
    std::uint64_t met_ = 0;  ///< clients that speak another protocol
    lifecycle::clock::time_point next_meeting_line_{};
    lifecycle::operation_memory* kept_back_ = nullptr;  ///< while it runs
    lifecycle::clock::time_point drain_began_{};
    lifecycle::clock::time_point idle_until_{};
    lifecycle::clock::time_point next_idle_look_{};
    lifecycle::clock::time_point stands_still_after_ = lifecycle::clock::time_point::max();
    lifecycle::clock::time_point next_standstill_warning_{};
    std::string held_up_by_;
    std::chrono::nanoseconds computed_{};  ///< CPU time of the thread at the last tick
    mutable std::mutex stragglers_mutex_;  ///< taken at the deadline only
    std::map<const connection*, lifecycle::shutdown_report::straggler> stragglers_;
    lifecycle::task_group tasks_;  // last: it asserts that it is empty
};

inline void loop::log_access(std::string_view text) noexcept try {
    if (access_lines_.add(*env_.access, text)) boost::asio::post(io_, [this] { access_lines_.write(*env_.access); });
} catch (const std::bad_alloc&) {
    access_lines_.write(*env_.access);
}

inline const options& connection::limits() const noexcept { return *(work_ ? work_->limits : loop_.limits()); }

}  // namespace server
