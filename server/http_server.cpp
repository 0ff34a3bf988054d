#include "server/http_server.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <condition_variable>
#include <exception>
#include <new>
#include <optional>
#include <stdexcept>
#include <thread>

#include "lifecycle/lines.hpp"
#include "server/cpus.hpp"
#include "server/fitting.hpp"
#include "server/loop/thread.hpp"
#include "server/metrics.hpp"
#include "server/net/listener.hpp"
#include "server/request_metrics.hpp"
#include "server/shared_places.hpp"
#include "server/surroundings.hpp"

namespace server {

namespace asio = boost::asio;
using lifecycle::clock;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds listener_patience{500};  // a wedged first loop must not keep the others from draining

}  // namespace

struct http_server::state {
    state(const options& given, router given_routes, const lifecycle::part& served, lifecycle::workers& births,
          spdlog::logger& logger)
        : part(served),
          name(part.name()),
          routes(std::move(given_routes)),
          workers(births),
          log(logger),
          env{.limits = fitting(given, name, log),
              .routes = routes,
              .log = log,
              .access = std::make_shared<access_to_logger>(log),
              .stop = part.serves_clients() ? &part.channel() : nullptr,
              .deadline = part,
              .name = name,
              .secure = nullptr,
              .http2 = nullptr,
              .observers = {},
              .clients = nullptr,
              .places = nullptr,
              .failed = {}},
          socket(given),
          clients(env.limits->max_connections) {
        address = socket.local();
        env.clients = &clients;
        const auto threads = given.threads == 0 ? usable_cpus() : given.threads;
        if (part.serves_clients()) around.emplace(name, threads, given.threads == 0, log);
        env.places = &places;
        env.failed = [this](std::size_t nth, std::exception_ptr why) { end_of_loop(*loops[nth], std::move(why)); };
        for (std::size_t nth = 0; nth < threads; ++nth)
            places.add(loops.emplace_back(std::make_unique<loop>(env, nth))->account());
        accepting = std::make_unique<listener>(socket, loops, clients);
        if (socket.without_ipv6())
            lifecycle::lines(log).info("{server}: the kernel has no IPv6: it listens on 0.0.0.0", name);
    }

    void run_loop(loop& loop);
    void let_loops_end();
    void end_of_loop(const loop& loop, std::exception_ptr error);
    std::string name_of(const loop& loop) const { return fmt::format("{}-{}", name, loop.index() + 1); }

    const lifecycle::part part;
    const std::string name;
    const router routes;
    lifecycle::workers& workers;
    spdlog::logger& log;
    environment env;
    listening_socket socket;
    std::string address;
    client_table clients;
    shared_places places;
    std::vector<std::unique_ptr<loop>> loops;
    std::unique_ptr<listener> accepting;
    std::function<void()> parting;
    std::optional<surroundings> around;  ///< of a part that serves clients

    std::mutex mutex;
    std::condition_variable_any changed;
    bool listener_closed = false;
    bool failed = false;         ///< a loop has
    std::exception_ptr failure;  ///< ... and it has not been reported
};

void http_server::state::run_loop(loop& loop) {
    try {
        loop.run();
    } catch (...) {
        if (&loop == loops.front().get()) let_loops_end();  // its listener will not close any more
        end_of_loop(loop, std::current_exception());
    }
}

/// After what has been dealt to them: nothing more comes.
void http_server::state::let_loops_end() {
    for (auto& loop : loops) loop->seal();
    const std::scoped_lock lock(mutex);
    listener_closed = true;
    changed.notify_all();
}

/// Told at once, not when the others have drained: it serves no client meanwhile.
void http_server::state::end_of_loop(const loop& loop, std::exception_ptr error) {
    const bool told = workers.died(name_of(loop), error);
    const std::scoped_lock lock(mutex);
    if (!failed && !told) failure = std::move(error);
    failed = true;
    changed.notify_all();
}

/// What must be asked of a loop is asked until there is memory for the question.
template <class F>
void insist(const F& ask) {
    for (int tries = 0; tries < 1'000; ++tries) {
        try {
            return ask();
        } catch (const std::bad_alloc&) {
            std::this_thread::sleep_for(milliseconds(5));
        }
    }
    ask();
}

http_server::http_server(const options& options, router routes, const lifecycle::part& part,
                         lifecycle::workers& workers, spdlog::logger& log)
    : state_(std::make_unique<state>(options, std::move(routes), part, workers, log)) {
    if (part.serves_clients()) part.count_turns_with([this] { return turns(); });
}

void http_server::log_access_to(std::shared_ptr<access_log> to) { state_->env.access = std::move(to); }

void http_server::speak_through(std::shared_ptr<layer_source> secure) { state_->env.secure = std::move(secure); }

void http_server::observe_by(request_observers observers) { state_->env.observers = std::move(observers); }

void http_server::speak_http2(std::shared_ptr<session_source> by) { state_->env.http2 = std::move(by); }

void http_server::before_it_closes(std::function<void()> say) { state_->parting = std::move(say); }

http_server::~http_server() = default;

std::string http_server::address() const { return state_->address; }

int http_server::listening() const { return state_->socket.descriptor(); }

bool http_server::owns_listener() const { return state_->socket.is_owned(); }

void http_server::take_listener() noexcept try {
    asio::post(state_->loops.front()->context(), [this] { state_->socket.take(); });
} catch (const std::bad_alloc&) {}  // it stays, and the next start replaces it

void http_server::hand_over() {
    asio::post(state_->loops.front()->context(), [this] { state_->socket.leave_path(); });
    state_->accepting->hand_over();
}

void http_server::run(std::stop_token token, const std::function<void()>& serving) {
    auto& s = *state_;
    auto& first = *s.loops.front();
    std::vector<std::jthread> threads;  // joined when this function is left
    threads.reserve(s.loops.size());
    try {
        for (auto& loop : s.loops)
            threads.push_back(
                s.workers.start(s.name_of(*loop), "loop", [&s, &loop](std::stop_token) { s.run_loop(*loop); }));
    } catch (const std::exception& e) {  // those that run end
        for (auto& loop : s.loops) loop->seal();
        for (auto& loop : s.loops) loop->close();
        throw std::runtime_error(fmt::format("{}; {}.threads may be fewer", e.what(), s.name));
    }
    insist([&] {
        first.begin([&s, &first, &serving] {
            first.here().tasks().spawn("listener", "listener", s.accepting->run());
            // From here on a client that connects is let in, so readiness may say so.
            s.part.up();
            if (serving) serving();
        });
    });
    {
        std::unique_lock lock(s.mutex);
        const auto failed = [&s] { return s.failed; };
        if (s.around)
            s.around->wait(s.changed, lock, token, failed);
        else
            s.changed.wait(lock, token, failed);
    }
    if (s.parting) s.parting();
    const auto patience = s.env.stop != nullptr ? s.env.stop->options().idle_grace : milliseconds(0);
    insist([&s, patience] { s.accepting->close_last(patience, [&s] { s.let_loops_end(); }); });
    {
        std::unique_lock lock(s.mutex);
        s.changed.wait_for(lock, listener_patience, [&s] { return s.listener_closed; });
    }
    for (auto& loop : s.loops) s.part.serves_clients() ? loop->drain() : loop->close();
    // Joins them: a loop ends with its last connection.
    threads.clear();
    if (s.failure) std::rethrow_exception(s.failure);
}

void http_server::apply(const options& fresh) {
    const auto limits = fitting(fresh, state_->name, state_->log);
    for (const auto& loop : state_->loops) loop->apply(limits);
}

std::uint64_t http_server::turns() const {
    auto slowest = state_->loops.front()->account().turns.get();
    for (const auto& loop : state_->loops) slowest = std::min(slowest, loop->account().turns.get());
    return slowest;
}

milliseconds http_server::longest_stall() const {
    milliseconds longest{0};
    for (const auto& loop : state_->loops) longest = std::max(longest, loop->stall().value_or(milliseconds(0)));
    return longest;
}

void http_server::account(stop_account& report) const {
    const auto nth_stop = state_->part.channel().nth_stop();
    for (const auto& loop : state_->loops) {
        for (auto& late : loop->stragglers()) report.stragglers.push_back(std::move(late));
        loop->account().add_to(report, nth_stop);
    }
}

http_server::snapshot http_server::now() const {
    snapshot all{};
    histogram::values durations;
    for (const auto& loop : state_->loops) {
        const auto& a = loop->account();
        all.open += a.open.get();
        all.idle += a.idle.get();
        all.in_flight += a.in_flight.get();
        all.requests += a.requests.get();
        for (const auto& by_rule : a.refused) all.refused += by_rule.get();
        all.accepted += a.accepted.get();
        for (const auto& route : loop->routes()) durations += route.duration;
    }
    all.p50 = durations.quantile(0.5);
    all.p99 = durations.quantile(0.99);
    return all;
}

std::vector<const loop*> http_server::loops() const {
    std::vector<const loop*> all;
    for (const auto& loop : state_->loops) all.push_back(loop.get());
    return all;
}

std::vector<std::string> http_server::route_names() const {
    auto names = state_->routes.names();
    names.emplace_back("unmatched");
    return names;
}

void http_server::write_metrics(metrics_text& out) const {
    const auto names = route_names();
    const auto server = label("server", state_->name);
    const auto labels = [&](std::size_t index) { return server + ',' + label("route", names[index]); };

    const auto sum = [this](const auto& column) {
        std::uint64_t all = 0;
        for (const auto& loop : state_->loops) all += column(*loop).get();
        return static_cast<double>(all);
    };

    std::vector<std::string> of_routes;
    for (std::size_t index = 0; index < names.size(); ++index) of_routes.push_back(labels(index));
    write_request_metrics(out, of_routes, loops());
    const auto all = now();
    out.family("http_requests_in_flight", "gauge", "Requests in handlers, by route.");
    // The last name is `unmatched`, which has no handler.
    for (std::size_t index = 0; index + 1 < names.size(); ++index)
        out.sample(labels(index), sum([&](const loop& on) -> const counter& { return on.routes()[index].in_flight; }));
    out.family("http_requests_refused_total", "counter", "Answers of 4xx and 5xx that no handler has made, by rule.");
    for (std::size_t by = 1; by < rule_count; ++by) {
        const auto count = sum([&](const loop& on) -> const counter& { return on.account().refused[by]; });
        if (count > 0) out.sample(server + ',' + label("rule", to_string(static_cast<rule>(by))), count);
    }
    out.family("http_connections", "gauge", "Open connections; those that have something to do, as of the last tick.");
    out.sample(server + ',' + label("state", to_string(connection_state::idle)), static_cast<double>(all.idle));
    for (auto at = static_cast<std::size_t>(connection_state::head); at < connection_states; ++at)
        out.sample(server + ',' + label("state", to_string(static_cast<connection_state>(at))),
                   sum([&](const loop& on) -> const counter& { return on.account().in_state[at]; }));
    out.family("http_connections_accepted_total", "counter", "Connections accepted.");
    out.sample(server, static_cast<double>(all.accepted));
    const auto on = [&](const loop& loop) { return server + ',' + label("loop", std::to_string(loop.index() + 1)); };
    out.family("loop_lag_seconds", "histogram", "How late the coarse tick of a loop came.");
    for (const auto& loop : state_->loops) {
        histogram::values lag;
        histogram::native_values native;
        if (out.has_native()) native += loop->account().lag;
        lag += loop->account().lag;
        out.sample(on(*loop), lag, {}, &native);
    }
    out.family("loop_stall_seconds", "gauge", "How long ago a loop turned last; at rest it turns at each tick.");
    for (const auto& loop : state_->loops)
        out.sample(on(*loop), std::chrono::duration<double>(loop->stall().value_or(milliseconds(0))).count());
}

namespace {

/// What `inspect` shares with the loops that it asks. A loop that answers too late finds that nothing waits any more.
struct inquiry {
    std::mutex mutex;
    std::vector<http_server::loop_report> reports;
    std::size_t missing = 0;
};

}  // namespace

lifecycle::awaitable<std::vector<http_server::loop_report>> http_server::inspect(milliseconds limit) {
    auto asked = std::make_shared<inquiry>();
    for (const auto& loop : state_->loops) {
        loop_report report;
        report.name = fmt::format("{}-{}", state_->name, loop->index() + 1);
        report.thread = loop->thread();
        if (const auto* entered = loop->last_entered()) report.last_entered = entered->name;
        report.answered = loop->account().turned_at.get() == 0;  // it has ended: nothing is alive on it
        asked->missing += report.answered ? 0 : 1;
        asked->reports.push_back(std::move(report));
    }
    for (const auto& loop : state_->loops)
        if (!asked->reports[loop->index()].answered)
            asio::post(loop->context(), [asked, &on = *loop] {
                auto rows = on.here().describe();
                const std::scoped_lock lock(asked->mutex);
                auto& report = asked->reports[on.index()];
                report.answered = true;
                report.tasks = std::move(rows);
                --asked->missing;
            });
    // Looked at again and again: a loop that is wedged never answers, and the page that asks is about just that.
    lifecycle::loop_timer timer(co_await asio::this_coro::executor);
    const auto until = clock::now() + limit;
    for (auto pause = milliseconds(1);; pause = milliseconds(5)) {
        {
            const std::scoped_lock lock(asked->mutex);
            if (asked->missing == 0 || clock::now() >= until) break;
        }
        timer.expires_after(pause);
        auto waiting = timer.async_wait(lifecycle::quietly);
        co_await std::move(waiting);
    }
    const std::scoped_lock lock(asked->mutex);
    co_return asked->reports;
}

}  // namespace server
