// The service with what nobody should write into one: handlers that ignore their context or wedge their loop, a
// sink that blocks in a system call, a part that ignores its stop. Everything else is the real thing.
//
//   GET /stubborn?ms=N   waits, and does not look at its context
//   GET /spin?ms=N       blocks its loop
//   GET /visit?name=N    looks for the name among all that have ever come, one by one, and keeps it
//   GET /stall           streams a byte and no second one, and does not look at its context
//   GET /leak?kb=N       keeps this much for ever, in pieces of 1 KiB
//   POST /throw          throws what its client has sent
//   GET /break           throws out of its loop
//   OBSTINATE=sink       no delivery ever returns
//   OBSTINATE=part       a part that does not hear its stop; it is asked after the app
//   OBSTINATE=dependency, dependency-ends, dependency-hangs
//                        a part that readiness waits for, which cannot open what it needs
//   OBSTINATE=never-run, run-twice
//                        mistakes in the wiring of the parts

#include <poll.h>
#include <spdlog/logger.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cmd/service/announce.hpp"
#include "cmd/service/inspection.hpp"
#include "cmd/service/log.hpp"
#include "cmd/service/modules.hpp"
#include "cmd/service/process_hooks.hpp"
#include "cmd/service/reload.hpp"
#include "cmd/service/routes.hpp"
#include "configs/command_line.hpp"
#include "configs/load.hpp"
#include "lifecycle/done_collector.hpp"
#include "server/admin/debug.hpp"
#include "server/http_server.hpp"
#include "tracker/event_tracker.hpp"

using server::http_server;
using namespace std::chrono_literals;
using answer = lifecycle::awaitable<server::response>;

/// Not in a namespace without a name, and never inlined, so that stacks show them.
[[gnu::noinline]] void spin_and_hear_nothing(std::chrono::milliseconds time);
[[gnu::noinline]] void block_in_the_kernel();
[[gnu::noinline]] bool has_come_before(const std::vector<std::string>& visitors, const std::string& name);
[[gnu::noinline]] void keep_for_ever(std::size_t pieces);
[[gnu::noinline]] void remember_visitor(std::vector<std::string>& visitors, const std::string& name);

void spin_and_hear_nothing(std::chrono::milliseconds time) {
    const auto until = lifecycle::clock::now() + time;
    std::atomic<int> turns{0};  // a look at the clock goes through the linker's stub, from which no stack leads back
    while (lifecycle::clock::now() < until)
        for (turns = 0; turns < 10'000; ++turns) {}
}

void keep_for_ever(std::size_t pieces) {
    // Never destroyed, so that what is kept can be reached and no checker of leaks complains.
    static std::mutex mutex;
    static auto& kept = *new std::list<std::array<char, 1'024 - 2 * sizeof(void*)>>;
    const std::scoped_lock lock(mutex);
    for (; pieces > 0; --pieces) kept.emplace_back();
}

void block_in_the_kernel() {
    for (int i = 0; i < 1'000; ++i) ::poll(nullptr, 0, 60'000);
}

bool has_come_before(const std::vector<std::string>& visitors, const std::string& name) {
    return std::find(visitors.begin(), visitors.end(), name) != visitors.end();
}

void remember_visitor(std::vector<std::string>& visitors, const std::string& name) { visitors.push_back(name); }

namespace {

std::chrono::milliseconds asked_for(const server::request& request) {
    return std::chrono::milliseconds(request.query_number<std::int64_t>("ms", 0, 0, 600'000).value_or(0));
}

answer stubborn(lifecycle::context context, const server::request& request) {
    const auto until = lifecycle::clock::now() + asked_for(request);
    const lifecycle::context::waiting here(context, std::source_location::current());
    const lifecycle::context deaf;                        // not the request's
    auto sleeping = lifecycle::sleep_until(deaf, until);  // lint: the handler waits, not the test
    co_await std::move(sleeping);
    co_return server::response(server::http::status::ok, "at last\n");
}

answer spin(lifecycle::context, const server::request& request) {
    spin_and_hear_nothing(asked_for(request));
    co_return server::response(server::http::status::ok, "dizzy\n");
}

server::response stall(const lifecycle::context&, const server::request&) {
    auto source = [first = true](std::span<char> into) mutable -> lifecycle::awaitable<std::size_t> {
        const auto until = lifecycle::clock::now() + std::chrono::minutes(10);
        const lifecycle::context deaf;
        auto sleeping = lifecycle::sleep_until(deaf, until);  // lint: the handler waits, not the test
        if (!std::exchange(first, false)) co_await std::move(sleeping);
        into[0] = 'x';
        co_return 1;
    };
    return server::response::stream(std::move(source));
}

struct guest_book {
    std::mutex mutex;
    std::vector<std::string> visitors;
};

answer visit(guest_book& book, const server::request& request) {
    const auto name = request.query_value("name").value_or("");
    const std::scoped_lock lock(book.mutex);
    const bool again = has_come_before(book.visitors, name);
    if (!again) remember_visitor(book.visitors, name);
    co_return server::response(server::http::status::ok, again ? "welcome back\n" : "welcome\n");
}

answer leak(lifecycle::context, const server::request& request) {
    keep_for_ever(request.query_number<std::size_t>("kb", 1, 0, 1'048'576).value_or(0));
    co_return server::response(server::http::status::ok, "kept\n");
}

answer fail(lifecycle::context, const server::request& request) {
    throw std::runtime_error(std::string(request.body));
    co_return server::response();
}

/// What it throws leaves the loop.
answer break_the_loop(lifecycle::context, const server::request&) {
    boost::asio::post(co_await boost::asio::this_coro::executor, [] { throw std::runtime_error("out of the loop"); });
    co_return server::response(server::http::status::ok, "broken\n");
}

struct blocking_sink final : tracker::sink {
    void deliver(std::span<const tracker::event>) override { block_in_the_kernel(); }
    std::string_view name() const noexcept override { return "blocking"; }
};

/// What the service cannot do without, and which is not there.
void open_dependency(std::string_view obstinate, const std::stop_token& token) {
    if (obstinate == "dependency") throw std::runtime_error("no database at 192.0.2.1");
    if (obstinate == "dependency-ends") return;
    std::binary_semaphore asked{0};  // it never says that it is up
    const std::stop_callback wake(token, [&asked] { asked.release(); });
    asked.acquire();
}

int serve(settings_in_force& settings, lifecycle::signals& signals, process_log& log, std::string_view obstinate) {
    const auto at_start = settings.now();
    const auto& config = at_start->values;
    auto& logger = *log.logger;
    announcement announced(config, logger);
    log.start();
    lifecycle::workers workers;
    lifecycle::stop_channel stop(config.shutdown);

    const auto debug_part = stop.add_part("debug", lifecycle::last_share, lifecycle::until_up);
    const auto tracker_part = stop.add_part("tracker", config.shutdown.flush);
    modules extras({*at_start, stop, workers, log});
    std::optional<lifecycle::part> odd_one;
    const bool depends = obstinate.starts_with("dependency");
    if (obstinate == "part") odd_one = stop.add_part("deaf", 0ms);
    if (depends) odd_one = stop.add_part("database", 0ms, lifecycle::until_up.within(200ms));
    if (obstinate == "never-run") odd_one = stop.add_part("forgotten", 0ms);
    const auto app_part = stop.add_part("app", lifecycle::serves_clients);

    auto sinks = extras.sinks(tracker_part);
    if (obstinate == "sink") sinks = {std::make_shared<blocking_sink>()};
    tracker::event_tracker events(config.tracker, std::move(sinks), workers, logger, tracker_part);
    auto routes = app_routes(events, stop);
    routes.get("/stubborn", stubborn);
    routes.get("/spin", spin);
    routes.get("/stall", stall);
    guest_book book;
    routes.get("/visit", [&book](lifecycle::context, const server::request& request) { return visit(book, request); });
    routes.get("/leak", leak);
    routes.get("/break", break_the_loop);
    routes.post("/throw", fail);
    http_server app(config.app, extras.around(std::move(routes)), app_part, workers, logger);
    const inspected parts{app, events, stop, workers, log, settings, [&](auto& out) { extras.write_metrics(out); }};
    http_server debug(config.debug, extras.debug_routes(inspection(parts)), debug_part, workers, logger);
    settings.connect({app, events, stop, workers, logger});
    extras.made({app, debug, events});

    lifecycle::done_collector done(stop, signals, workers, logger);
    done.run(debug_part, [&](std::stop_token token) {
        const auto watching = extras.watch();
        debug.run(std::move(token));
        settings.finish();
    });
    done.run(tracker_part, [&](std::stop_token token) { events.run(std::move(token)); });
    if (obstinate == "run-twice") done.run(tracker_part, [](std::stop_token) {});
    if (obstinate == "part") done.run(*odd_one, [](std::stop_token) { block_in_the_kernel(); });
    if (depends) done.run(*odd_one, [&](std::stop_token token) { open_dependency(obstinate, token); });
    done.run(app_part, [&](std::stop_token token) { app.run(std::move(token)); });
    auto hooks = process_hooks(parts, debug, extras, announced);
    hooks.reload = {};
    hooks.progress = {};
    hooks.ended = {};
    return done.wait(hooks);
}

}  // namespace

int main(int count, char** arguments) {
    lifecycle::signals signals;
    const auto line = configs::read_command_line({arguments + 1, arguments + count});
    const auto settings = configs::load(line, configs::environment_of(environ));
    for (const auto& fault : settings.faults) std::fprintf(stderr, "%s\n", fault.c_str());
    if (!settings.faults.empty()) return lifecycle::could_not_start;
    auto log = make_log(settings.values);
    const char* const obstinate = std::getenv("OBSTINATE");
    settings_in_force in_force(settings, line);
    try {
        return serve(in_force, signals, log, obstinate == nullptr ? "" : obstinate);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "cannot start: %s\n", e.what());
        return lifecycle::could_not_start;
    }
}
