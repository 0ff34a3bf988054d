#include "server/admin/pprof/tasks.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <map>
#include <tuple>

#include "server/admin/pprof/profile.hpp"
#include "server/stacks.hpp"

namespace server::pprof {

using lifecycle::clock;
using lifecycle::context;
using answer = lifecycle::awaitable<response>;
using std::chrono::milliseconds;

namespace {

std::vector<live_task> threads_of(const debug_sources& from) {
    std::vector<live_task> all;
    for (const auto& worker : from.workers.list()) {
        const auto age = std::chrono::duration_cast<milliseconds>(clock::now() - worker.born);
        all.push_back({{"main"}, {worker.name, worker.kind, "running", {}, age}});
    }
    return all;
}

/// A task that is not a request, or in whose place the server has answered, has no deadline, or one that never comes.
std::optional<milliseconds> left_of(const task_row& row) {
    const bool comes = !row.target.empty() && row.left < std::chrono::hours(24 * 365);
    return comes ? std::optional(row.left) : std::nullopt;
}

/// What is the same for tasks that are counted together.
auto kind_of(const task_row& row) { return std::tie(row.kind, row.state, row.name, row.where); }
using kind = std::tuple<std::string, std::string, std::string, std::string>;

/// The stack of a task is its place in the tree: where it waits, what it is, and its owners.
std::string as_proto(const std::vector<live_task>& tasks) {
    std::map<std::pair<std::vector<std::string>, kind>, std::int64_t> counted;
    for (const auto& task : tasks) ++counted[{task.owners, kind_of(task.row)}];

    profile made({{"goroutine", "count"}}, {"goroutine", "count"}, 1);
    // A mapping that has names keeps pprof from a search for a program with more of them.
    constexpr std::uint64_t most_places = 1 << 20;
    const auto mapping = made.add({1, most_places, 0, "[tasks]", {}, true});
    std::map<std::pair<std::string, std::string>, profile::id> known;
    const auto place = [&](const std::string& function, const std::string& where = {}) {
        const auto colon = std::min(where.rfind(':'), where.size());
        const auto line = colon == where.size() ? 0 : std::strtoull(where.c_str() + colon + 1, nullptr, 10);
        auto& id = known[{function, where}];
        if (id == 0) id = made.location(mapping, known.size(), function, where.substr(0, colon), line);
        return id;
    };
    for (const auto& [group, count] : counted) {
        const auto& [owners, alike] = group;
        const auto& [what, state, name, where] = alike;
        std::vector<profile::id> stack{place(where.empty() ? state : fmt::format("{} at {}", state, where), where),
                                       place(name)};
        for (const auto& owner : owners) stack.push_back(place(owner));
        std::vector<profile::label> labels{{"kind", what}, {"state", state}};
        if (what == "request") labels.emplace_back("route", name);
        if (owners.size() > 1) labels.emplace_back("thread", owners.front());
        made.sample(stack, {count}, labels);
    }
    return made.encode();
}

std::string as_counts(const std::vector<live_task>& tasks) {
    std::map<kind, std::int64_t> counted;
    for (const auto& task : tasks) ++counted[kind_of(task.row)];
    std::vector<std::pair<kind, std::int64_t>> most_first(counted.begin(), counted.end());
    std::ranges::stable_sort(most_first, std::greater{}, [](const auto& pair) { return pair.second; });
    auto text = fmt::format("goroutine profile: total {}\n", tasks.size());
    for (const auto& [alike, count] : most_first) {
        const auto& [what, state, name, where] = alike;
        text += fmt::format("{} @ {} {}\n#\t{}\t{}\n\n", count, what, state, name, where);
    }
    return text;
}

std::string one_by_one(const std::vector<live_task>& tasks) {
    std::string text;
    int number = 0;
    for (const auto& [owners, row, left, wedged] : tasks) {
        text += fmt::format("goroutine {} [{}, {} ms]:\n{} ({})\n", ++number, row.state, row.age.count(), row.name,
                            row.kind);
        if (!row.where.empty()) text += fmt::format("\t{}\n", row.where);
        if (!row.target.empty()) text += fmt::format("\ttarget {}\n", row.target);
        if (left) text += fmt::format("\tdeadline in {} ms\n", left->count());
        if (!row.trace.empty()) text += fmt::format("\ttrace {}\n", row.trace);
        if (!row.client.empty()) text += fmt::format("\tclient {}\n", row.client);
        if (wedged != 0)
            for (const auto& frame : stack_of(wedged)) text += fmt::format("\t{}\n", frame);
        text += fmt::format("owned by {}\n\n", fmt::join(owners, ", "));
    }
    return text;
}

answer show(std::shared_ptr<const debug_sources> from, const request& request) {
    const auto detail = request.query_number<int>("debug", 0, 0, 2);
    if (!detail) co_return response(http::status::bad_request, "debug: 0, 1 or 2\n");
    auto asking = ask_loops(*from);
    const auto loops = co_await std::move(asking);
    auto tasks = tasks_of(*from, loops);
    std::ranges::move(threads_of(*from), std::back_inserter(tasks));
    if (*detail == 1) co_return response(http::status::ok, as_counts(tasks));
    if (*detail == 2) co_return response(http::status::ok, one_by_one(tasks));
    response reply(http::status::ok, as_proto(tasks), "application/octet-stream");
    reply.set("Content-Disposition", "attachment; filename=\"goroutine\"");
    co_return reply;
}

}  // namespace

lifecycle::awaitable<loop_reports> ask_loops(const debug_sources& from) { return from.app.inspect(inspection_limit); }

std::vector<live_task> tasks_of(const debug_sources& from, const loop_reports& loops) {
    std::vector<live_task> all;
    const auto which = from.app.loops();
    for (std::size_t at = 0; at < loops.size(); ++at) {
        const auto& loop = loops[at];
        const std::vector<std::string> owners{loop.name, loop.name.substr(0, loop.name.rfind('-')), "main"};
        for (const auto& row : loop.tasks) all.push_back({owners, row, left_of(row)});
        if (loop.answered) continue;
        const auto name = loop.last_entered.empty() ? "unknown" : loop.last_entered;
        const auto age = which[at]->stall().value_or(milliseconds(0));
        all.push_back({owners, {name, "loop", "wedged", loop.name + " does not turn", age}, {}, loop.thread});
    }
    return all;
}

handler goroutine(std::shared_ptr<const debug_sources> from) {
    return [from = std::move(from)](context, const request& request) -> answer { return show(from, request); };
}

}  // namespace server::pprof
