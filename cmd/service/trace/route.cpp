#include "cmd/service/trace/route.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cmd/service/trace/json.hpp"
#include "server/loop.hpp"

namespace trace {
namespace {

using answer = lifecycle::awaitable<server::response>;
using lifecycle::clock;
using server::http::status;
using std::chrono::milliseconds;

constexpr std::int64_t default_seconds = 5;
constexpr std::int64_t most_seconds = 300;
constexpr milliseconds look_every{20};         // at loops: more often than they tick
constexpr milliseconds look_in_a_stop{5};      // at what the end waits for
constexpr milliseconds kept_of_a_budget{100};  // to write what there is

/// Loops that have not turned for long, by the time at which each says that it has.
class standstills {
public:
    explicit standstills(const std::vector<const server::loop*>& loops) {
        for (const auto* loop : loops) watched_.push_back({loop, turned(*loop), {}});
    }

    void look() {
        for (auto& [loop, last, in] : watched_) {
            const auto now = turned(*loop);
            if (now == last) {
                if (const auto* const runs = loop->last_entered(); runs != nullptr) in = runs->name;
                continue;
            }
            const auto due = last + server::loop::usual_tick;
            if (last != clock::time_point{} && now - due >= server::loop::standstill)
                seen_.push_back(slice{loop->thread(), "loop", "stood still", due, now, {{"last_entered", in}}});
            last = now;
            in.clear();
        }
    }

    const std::vector<slice>& seen() const noexcept { return seen_; }

private:
    struct watched {
        const server::loop* loop;
        clock::time_point turned;
        std::string in;  ///< the handler that it was in when it was looked at
    };
    static clock::time_point turned(const server::loop& of) {
        return clock::time_point(clock::duration(static_cast<clock::rep>(of.account().turned_at.get())));
    }

    std::vector<watched> watched_;
    std::vector<slice> seen_;
};

/// What a stop has come to, as looks find it, in its order. What is over between two looks (a stop that is withdrawn at
/// once) is not seen.
class steps_of_stop {
public:
    void look(const lifecycle::stop_channel::status& now) {
        const bool stops = now.phase >= lifecycle::stop_phase::lame_duck;
        if (began_ && (!stops || now.began != *began_)) {
            note("withdrawn", clock::now());
            began_.reset();
            forced_ = false;
            phases_ = 0;
        }
        if (!stops) {
            running_ = now.running;
            return;
        }
        if (!began_) {
            began_ = now.began;
            note("began", now.began, {{"cause", now.cause}});
        }
        if (now.forced && !std::exchange(forced_, true)) note("forced", clock::now());
        for (; phases_ < now.phases.size(); ++phases_) {
            if (phases_ > 0) note_end(now.phases[phases_ - 1].name, now);  // it may be why the next one's turn has come
            note("entered " + now.phases[phases_].name, clock::now());
        }
        for (const auto& part : std::vector(running_)) note_end(part, now);
    }

    const std::vector<moment>& seen() const noexcept { return seen_; }

private:
    void note_end(const std::string& part, const lifecycle::stop_channel::status& now) {
        if (std::ranges::find(now.running, part) != now.running.end()) return;
        if (std::erase(running_, part) > 0) note("ended " + part, clock::now());
    }
    void note(std::string what, clock::time_point when, std::vector<argument> about = {}) {
        seen_.push_back({.thread = ::getpid(),
                         .category = "step",
                         .name = std::move(what),
                         .when = when,
                         .arguments = std::move(about)});
    }

    std::optional<clock::time_point> began_;
    bool forced_ = false;
    std::size_t phases_ = 0;            ///< so many have been noted
    std::vector<std::string> running_;  ///< whose ends have not
    std::vector<moment> seen_;
};

using thread_names = std::map<pid_t, std::string>;

/// Those that live now, beside those that have been seen before.
void note_threads(thread_names& names, const server::debug_sources& from) {
    names[::getpid()] = "main";
    for (const auto& worker : from.workers.list()) names[worker.thread] = worker.name;
}

/// Each lasts until the next begins. The stop channel knows milliseconds.
void add_phases(json& to, const lifecycle::stop_channel::status& stop) {
    if (stop.phases.empty()) return;
    const auto now = clock::now();
    auto at = now - stop.elapsed;
    to.add(slice{::getpid(), "stop", "stop", at, now, {{"cause", stop.cause}}});
    for (const auto& phase : stop.phases) {
        const auto end = std::min(at + phase.used, now);
        to.add(slice{::getpid(), "stop", phase.name, at, end, {{"allowed_ms", std::to_string(phase.allowed.count())}}});
        at = end;
    }
}

std::string written(const recorder& events, const thread_names& threads, const standstills& loops,
                    const steps_of_stop& steps, const lifecycle::stop_channel::status& stop) {
    json made;
    for (const auto& [id, name] : threads) made.name_thread(id, name);
    add_phases(made, stop);
    for (const auto& step : steps.seen()) made.add(step);
    for (const auto& loop : loops.seen()) made.add(loop);
    events.for_each([&](pid_t thread, std::span<const record> records) { made.add(thread, records); });
    return made.take(events.lost());
}

/// What is not written by then will not be: the debug server ends last, but not after the budget.
bool nearly_over(const server::debug_sources& from) {
    const auto stop = from.stop.now();
    return from.stop.stopping() && stop.left < lifecycle::last_share.of(from.stop.options()) + kept_of_a_budget;
}

answer take(std::shared_ptr<session> takes, std::shared_ptr<const server::debug_sources> from,
            lifecycle::context context, const server::request& request) {
    const auto seconds = request.query_number<std::int64_t>("seconds", default_seconds, 1, most_seconds);
    if (!seconds) co_return server::response(status::bad_request, "seconds: a whole number from 1 to 300\n");
    thread_names threads;
    note_threads(threads, *from);
    std::vector<pid_t> ids;
    for (const auto& [id, name] : threads) ids.push_back(id);
    const session::taking taking(*takes, ids);
    if (!taking.took()) co_return server::response(status::conflict, "another trace is being taken\n");

    standstills loops(from->app.loops());
    steps_of_stop steps;
    steps.look(from->stop.now());
    const auto until = clock::now() + std::chrono::seconds(*seconds);
    for (bool goes_on = true; goes_on;) {
        const auto pause = from->stop.stopping() ? look_in_a_stop : look_every;
        auto sleeping = lifecycle::sleep_until(context, std::min(until, clock::now() + pause));
        const bool slept = co_await std::move(sleeping);
        loops.look();
        steps.look(from->stop.now());
        goes_on = slept && clock::now() < until && !taking.awaited() && !nearly_over(*from);
    }
    takes->events.end();
    note_threads(threads, *from);
    const auto stop = from->stop.now();
    steps.look(stop);
    server::response reply(status::ok, written(takes->events, threads, loops, steps, stop), "application/json");
    reply.set("Content-Disposition", "attachment; filename=\"trace.json\"");
    co_return reply;
}

}  // namespace

server::handler route(std::shared_ptr<session> takes, const server::debug_sources& from) {
    return [takes = std::move(takes), from = std::make_shared<const server::debug_sources>(from)](
               lifecycle::context context, const server::request& request) -> answer {
        return take(takes, from, std::move(context), request);
    };
}

}  // namespace trace
