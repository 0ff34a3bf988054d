#pragma once

#include <spdlog/logger.h>

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "lifecycle/stop_channel.hpp"
#include "lifecycle/task_group.hpp"
#include "lifecycle/workers.hpp"
#include "server/options.hpp"
#include "server/request_observer.hpp"
#include "server/router.hpp"
#include "server/stop_account.hpp"

namespace server {

class access_log;
class layer_source;
class session_source;
class metrics_text;
struct task_row;
class loop;

/// An HTTP/1.1 server: one listener, several loops, their connections.
///
/// Lifetime: a part. Construct (binds; throws with one line when it cannot; waits for nothing), `run`
/// on a thread of its own, destroy after `run` has returned. Everything else is safe from any thread.
class http_server {
public:
    /// If its part serves clients, it drains. Otherwise, as on the debug port, it answers to the very end and closes.
    /// The part is up when the first loop accepts. All arguments must outlive it.
    http_server(const options& options, router routes, const lifecycle::part& part, lifecycle::workers& workers,
                spdlog::logger& log);
    ~http_server();
    http_server(const http_server&) = delete;
    http_server& operator=(const http_server&) = delete;

    /// Where the lines of `options::access_log` go: to `log`, unless set here. Only before `run`.
    void log_access_to(std::shared_ptr<access_log> to);

    /// Connections speak through what this makes, and not in clear. Only before `run`.
    void speak_through(std::shared_ptr<layer_source> secure);

    /// Connections that begin with the preface of HTTP/2, or agree on it in the handshake, are served by what this
    /// makes.
    /// Only before `run`.
    void speak_http2(std::shared_ptr<session_source> by);

    /// Each loop has one of them. Only before `run`.
    void observe_by(request_observers observers);

    /// Called on the thread of `run` when that has been asked to end, before anything closes. May block for a moment,
    /// which is the part's. Must not throw. Only before `run`.
    void before_it_closes(std::function<void()> say);

    /// Blocks until asked to stop and every connection has ended, or a loop has failed: lifecycle::workers is told at
    /// once (see on_death), the others drain; throws the reason when there was nothing to be told. Once every loop has
    /// its thread and the first one accepts, the part is up and `serving` is called.
    void run(std::stop_token token, const std::function<void()>& serving = {});

    /// These limits apply to new connections and requests from the next turn of their loop on; those that have begun
    /// keep theirs. Options that a loop or the socket is made with (`threads`, `port` …) are ignored.
    void apply(const options& fresh);

    std::string address() const;  ///< "127.0.0.1:8080", with the port that was bound, or "unix:PATH"

    /// The listening socket, for a process that is to listen on it too. Only before `run`.
    int listening() const;
    /// This process has inherited the socket from another, and now it alone has it: at the end clients in a handshake
    /// are let in before it is closed, and the path of a UNIX socket is removed. Safe from any thread, while `run` has
    /// not returned.
    void take_listener() noexcept;
    bool owns_listener() const;  ///< only before `run`
    /// Another process listens on the socket: lets in the clients in the queue and closes it here, which does not end
    /// the listening. Connections stay. Safe from any thread, while `run` has not returned.
    void hand_over();

    /// Turns of the slowest loop, for the lame duck.
    std::uint64_t turns() const;

    /// How long ago the loop that has not turned for longest last turned; an idle loop turns at each tick.
    std::chrono::milliseconds longest_stall() const;

    /// Adds connections, requests and stragglers of the stop so far.
    void account(stop_account& report) const;

    void write_metrics(metrics_text& out) const;

    struct snapshot {
        std::uint64_t open, idle, in_flight, requests, refused, accepted;
        double p50, p99;  ///< seconds, over all routes since the start
    };
    snapshot now() const;

    struct loop_report {
        std::string name;
        pid_t thread = 0;
        bool answered = false;  ///< false: the loop is wedged
        std::string last_entered;
        std::vector<task_row> tasks;
    };
    /// They live as long as the server.
    std::vector<const loop*> loops() const;
    /// In the order of route::index; the last is what no route answers.
    std::vector<std::string> route_names() const;

    /// Asks every loop what is alive on it; one that has not answered in time is reported as such. To be awaited on a
    /// loop of another server.
    lifecycle::awaitable<std::vector<loop_report>> inspect(std::chrono::milliseconds limit);

private:
    struct state;
    std::unique_ptr<state> state_;
};

}  // namespace server
