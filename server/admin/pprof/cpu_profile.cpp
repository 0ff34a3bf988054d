#include "server/admin/pprof/cpu_profile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "server/admin/pprof/code_map.hpp"
#include "server/admin/pprof/cpu_sampler.hpp"
#include "server/admin/pprof/profile.hpp"
#include "server/admin/pprof/threads.hpp"
#include "server/loop.hpp"

namespace server::pprof {

using lifecycle::clock;
using lifecycle::context;
using answer = lifecycle::awaitable<response>;

namespace {

constexpr std::int64_t default_seconds = 30;  // as Go has it
constexpr std::int64_t most_seconds = 300;
constexpr std::chrono::milliseconds look_every{100};  // for new threads, and to empty the buffer
constexpr std::int64_t nanoseconds_a_sample = 1'000'000'000 / cpu_sampler::hertz;

std::vector<sampled_thread> threads_of(const debug_sources& from) {
    const auto workers = from.workers.list();
    const auto loops = from.app.loops();
    std::vector<sampled_thread> all;
    for (const auto id : thread_ids()) {
        const auto on = std::ranges::find(loops, id, [](const loop* loop) { return loop->thread(); });
        all.push_back({id, thread_name(id, workers), on == loops.end() ? nullptr : *on});
    }
    return all;
}

std::string as_proto(const cpu_sampler& sampler, clock::duration lasted) {
    profile made({{"samples", "count"}, {"cpu", "nanoseconds"}}, {"cpu", "nanoseconds"}, nanoseconds_a_sample);
    code_map code;
    code.describe(made);
    std::vector<profile::id> stack;
    for (const auto& [place, times] : sampler.samples()) {
        stack.clear();
        for (auto* const frame : place.frames) stack.push_back(code.location(made, frame, !stack.empty()));
        std::vector<profile::label> labels{{"thread", *place.thread}};
        if (place.route != nullptr) labels.emplace_back("route", place.route->name);
        const auto count = static_cast<std::int64_t>(times);
        made.sample(stack, {count, count * nanoseconds_a_sample}, labels);
    }
    if (sampler.lost() > 0) made.comment(fmt::format("{} samples found no room", sampler.lost()));
    made.lasted(lasted);
    return made.encode();
}

/// "thread;outermost;...;innermost count" a line, for flamegraph.pl, inferno and speedscope.
std::string as_collapsed(const cpu_sampler& sampler) {
    const code_map code;
    std::map<std::pair<const void*, bool>, std::string> names;  // to look up a name takes a walk through the table
    std::map<std::string, std::uint64_t> lines;                 // by names: several addresses have the same
    for (const auto& [place, times] : sampler.samples()) {
        std::string line = *place.thread;
        if (place.route != nullptr) line += ';' + place.route->name;
        for (auto left = place.frames.size(); left > 0; --left) {
            auto& name = names[{place.frames[left - 1], left > 1}];
            if (name.empty()) {
                name = code.name(place.frames[left - 1], left > 1);
                std::ranges::replace(name, ';', ':');
            }
            line += ';' + name;
        }
        lines[line] += times;
    }
    std::string text;
    for (const auto& [line, times] : lines) text += fmt::format("{} {}\n", line, times);
    return text;
}

answer take(std::shared_ptr<const debug_sources> from, context context, const request& request) {
    const auto seconds = request.query_number<std::int64_t>("seconds", default_seconds, 1, most_seconds);
    if (!seconds) co_return response(http::status::bad_request, "seconds: a whole number from 1 to 300\n");
    const auto format = request.query_value("format").value_or("proto");
    if (format != "proto" && format != "collapsed")
        co_return response(http::status::bad_request, "format: proto or collapsed\n");
    const auto sampler = cpu_sampler::start();
    if (!sampler) co_return response(http::status::conflict, "another CPU profile is being taken\n");

    const auto began = clock::now();
    const auto until = began + std::chrono::seconds(*seconds);
    const bool stops = from->stop.stopping();
    for (bool goes_on = true; goes_on;) {
        sampler->follow(threads_of(*from));
        auto sleeping = lifecycle::sleep_until(context, std::min(until, clock::now() + look_every));
        const bool slept = co_await std::move(sleeping);
        goes_on = slept && clock::now() < until && from->stop.stopping() == stops;
    }
    sampler->collect();
    if (format == "collapsed") co_return response(http::status::ok, as_collapsed(*sampler));
    response reply(http::status::ok, as_proto(*sampler, clock::now() - began), "application/octet-stream");
    reply.set("Content-Disposition", "attachment; filename=\"profile\"");
    co_return reply;
}

}  // namespace

handler cpu_profile(std::shared_ptr<const debug_sources> from) {
    return [from = std::move(from)](context context, const request& request) -> answer {
        return take(from, std::move(context), request);
    };
}

}  // namespace server::pprof
