#pragma once

#include <spdlog/logger.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lifecycle/shutdown_report.hpp"
#include "lifecycle/stop_channel.hpp"
#include "lifecycle/task_group.hpp"
#include "server/access_log.hpp"
#include "server/loop/account.hpp"
#include "server/loop/late_handlers.hpp"
#include "server/loop/stall_watch.hpp"
#include "server/metrics.hpp"
#include "server/net/layer.hpp"
#include "server/net/socket_address.hpp"
#include "server/options.hpp"
#include "server/request_observer.hpp"
#include "server/router.hpp"
#include "server/session.hpp"

namespace server {

class client_table;
class loop_thread;
class shared_places;
struct arrival;

/// What the loops of one server share. Nothing in it changes while they run.
struct environment {
    std::shared_ptr<const options> limits;  ///< of the start; see host::limits
    const router& routes;
    spdlog::logger& log;
    std::shared_ptr<access_log> access;
    const lifecycle::stop_channel* stop;  ///< nullptr: a server that does not drain (debug)
    lifecycle::stop_channel::deadline_function deadline;
    std::string name;                       ///< "app", "debug"
    std::shared_ptr<layer_source> secure;   ///< what connections speak through; nullptr: they speak in clear
    std::shared_ptr<session_source> http2;  ///< for clients that speak it; nullptr: it is not spoken
    request_observers observers = {};       ///< empty: the requests are not observed
    client_table* clients = nullptr;        ///< of all loops
    const shared_places* places = nullptr;  ///< of all loops
    std::function<void(std::size_t loop, std::exception_ptr)> failed;  ///< it no longer serves any connection
};

/// A live connection or task as `/debug/tasks` shows it.
struct task_row {
    std::string name, kind, state, where;
    std::chrono::milliseconds age;
    std::string trace = {};            ///< the id
    std::string target = {};           ///< of a request, "/slow?ms=500"
    std::string client = {};           ///< "127.0.0.1:54321"; empty for what is not a connection
    std::string peer = {};             ///< at the other end of its connection, as the client is written
    std::string_view protocol = {};    ///< of its connection: "HTTP/2"
    std::chrono::milliseconds left{};  ///< of a request, until its deadline
};

/// What a loop's thread lets others see.
struct published {
    loop_account account;
    std::vector<route_metrics> routes;
    std::atomic<pid_t> thread{0};
    std::atomic<const route*> entered{nullptr};
    late_handlers late;
};

/// One thread, one `io_context(1)`, and the connections that live on it, as any thread may see it; what only that
/// thread may do is `loop_thread`, which code on that thread reaches by `here`.
///
/// Owned by its server, which runs `run` on a thread and joins it. `run` returns when the loop has been asked to drain
/// or close and its last task has ended. If memory runs out, the connection that wanted it pays for that. A loop that
/// cannot go on says so at once (environment::failed), closes what it has, and turns until then. Safe from any thread;
/// `last_entered` in a signal handler too.
class loop {
public:
    static constexpr std::chrono::milliseconds usual_tick{50};
    static constexpr std::chrono::milliseconds standstill = stall_watch::standstill;

    loop(const environment& env, std::size_t index);
    ~loop();

    void run();
    /// Only on its thread.
    loop_thread& here() const noexcept { return *here_; }

    /// Takes over a connection, and owns the descriptor from here on. Throws std::bad_alloc: it has been closed.
    void adopt(int descriptor, arrival client);
    /// Begins the drain: no listener feeds this loop any more, or one that is late.
    void drain();
    /// Nothing more is adopted, so that a loop which drains may end.
    void seal();
    /// Closes everything at once.
    void close();
    /// From its next turn on new work is under these limits.
    void apply(std::shared_ptr<const options> fresh);
    /// Closes the connection that has been idle longest, if any is idle.
    void make_room();
    /// Starts, in a turn, what the loop cannot do without. It has failed where that throws.
    void begin(std::function<void()> work);

    const loop_account& account() const noexcept { return published_.account; }
    /// The connections that it has, and those that it has been given in this moment: its account has them a turn later.
    std::uint64_t connections() const noexcept {
        return account().open.get() + arriving_.load(std::memory_order_relaxed);
    }
    const std::vector<route_metrics>& routes() const noexcept { return published_.routes; }
    boost::asio::io_context& context() noexcept { return io_; }
    std::size_t index() const noexcept { return index_; }
    pid_t thread() const noexcept { return published_.thread.load(std::memory_order_relaxed); }
    /// The route whose handler was entered last and has not answered: what a wedged loop runs, most likely, if not
    /// one that has waited meanwhile. nullptr: it has. Also for signal handlers.
    const route* last_entered() const noexcept { return published_.entered.load(std::memory_order_relaxed); }
    /// How long ago it turned last; none: it does not run. At rest it turns at each tick.
    std::optional<std::chrono::milliseconds> stall() const noexcept;
    /// The handlers in whose place the server has answered and that have not returned, by name.
    std::vector<lifecycle::shutdown_report::straggler> stragglers() const;

private:
    void give(unsigned order) noexcept;

    const environment& env_;
    const std::size_t index_;
    /// Whatever is made on it is used on its thread alone, so that what only I/O takes a lock for needs none. Posting
    /// is safe from any thread.
    boost::asio::io_context io_{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
    published published_;
    std::atomic<std::uint64_t> arriving_{0};
    std::unique_ptr<loop_thread> here_;
};

}  // namespace server
