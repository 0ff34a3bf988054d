// What the numbers of a plan may be.

#include <signal.h>

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>

#include "tests/simulator/client.hpp"
#include "tests/simulator/disk.hpp"
#include "tests/simulator/plan.hpp"
#include "tests/simulator/random.hpp"

namespace simulator {
namespace {

struct range {
    std::string_view name;
    std::uint64_t least, most;
};

constexpr std::uint64_t minute = 60'000, minute_in_us = 60'000'000;

/// Also where the program's own settings refuse a number, its parts are simulated with it, as far as they are made for
/// it. What a file leaves out is 0.
constexpr range settings[] = {
    {"batch_events", 1, 1'000},
    {"budget", 1, minute},  // shares of it are computed
    {"crowd", 0, 200'000},
    {"durability", 0, 2},
    {"flush", 0, minute},
    {"gap", 0, minute},
    {"idle_grace", 0, minute},
    {"lame_duck", 0, minute},
    {"loss", 0, 1'000'000},
    {"manager", 0, minute},
    {"max_connections", 1, 1'000'000},
    {"max_in_flight", 1, 1'000'000},
    {"one_way", 0, 10'000'000},
    {"overflow", 0, 1},  // what drops the oldest loses what it has accepted, by intent
    {"preempts", 0, 1'000'000},
    {"queue_capacity", 0, 1'000'000},
    {"segment_kb", 0, 65'536},
    {"sinks", 0, 2},
    {"threads", 1, 16},  // by 0 the real machine's processors would decide
    {"tls", 0, 1},
};

constexpr std::uint64_t any = 1'000'000'000;

struct numbers {
    range a, b, c;
};

/// In the order of deed.
constexpr numbers of_deeds[] = {
    {{"a script", 0, static_cast<std::uint64_t>(script::withdrawer)}, {"one way", 0, 10'000'000}, {"c", 0, 10'000}},
    {{"a signal", 1, SIGTERM}, {"b", 0, any}, {"c", 0, any}},
    {{"ms", 0, minute}, {"b", 0, any}, {"c", 0, any}},
    {{"a fault", 0, disk_tree::faults - 1}, {"b", 0, any}, {"c", 0, minute}},
    {{"a mode", 0, static_cast<std::uint64_t>(sink_mode::picky)}, {"ms", 0, minute}, {"c", 0, any}},
    {{"a", 0, any}, {"b", 0, any}, {"c", 0, 1}},
    {{"a", 0, any}, {"b", 0, any}, {"c", 0, any}},
};
static_assert(std::size(of_deeds) == std::size(deed_names));

/// Those whose meaning the world knows; by others a process ends, is stopped, or asked to stop without the world's
/// knowledge.
constexpr std::uint64_t signals[] = {SIGHUP, SIGQUIT, SIGKILL, SIGUSR2, SIGTERM};

std::string fault_of(const range& allowed, std::uint64_t number, std::string_view of = {}) {
    if (number >= allowed.least && number <= allowed.most) return {};
    return std::string(of) + (of.empty() ? "" : ": ") + std::string(allowed.name) + ' ' + std::to_string(number) +
           ": allowed is " + std::to_string(allowed.least) + " to " + std::to_string(allowed.most);
}

std::string fault_of_action(const action& what) {
    const auto nth = static_cast<std::size_t>(what.what);
    const auto& allowed = of_deeds[nth];
    if (what.what == deed::signal && std::ranges::count(signals, what.a) == 0)
        return "signal " + std::to_string(what.a) + ": allowed are SIGHUP, SIGQUIT, SIGKILL, SIGUSR2 and SIGTERM";
    for (const auto& fault :
         {fault_of({"at", 0, minute_in_us}, what.at, deed_names[nth]), fault_of(allowed.a, what.a, deed_names[nth]),
          fault_of(allowed.b, what.b, deed_names[nth]), fault_of(allowed.c, what.c, deed_names[nth])})
        if (!fault.empty()) return fault;
    return {};
}

class any_author {
public:
    explicit any_author(std::uint64_t seed) : chance_(seed), is_least_(seed == 0) { made_.chance = chance_.next(); }

    plan write() {
        for (const auto& each : settings) made_.settings[std::string(each.name)] = some(each);
        // Each of a crowd costs what a client costs, which is time and no other case.
        if (!is_least_) made_.settings["crowd"] = chance_.one_in(8) ? chance_.below(100) : 0;
        if (made_.get("durability") == 0 && made_.get("sinks") == 2) made_.settings["sinks"] = 1;
        for (auto lives = is_least_ ? 1 : chance_.upto(3); lives > 0; --lives) add_life();
        return std::move(made_);
    }

private:
    void add_life() {
        auto& life = made_.lives.emplace_back();
        life.length = some({"length", 0, minute_in_us});
        life.how = static_cast<ending>(is_least_ ? 0 : chance_.below(std::size(ending_names)));
        if (is_least_) return add_everything(life);
        for (auto actions = chance_.upto(8); actions > 0; --actions)
            add(life, static_cast<deed>(chance_.below(std::size(deed_names))));
    }

    void add_everything(life_plan& life) {
        for (std::size_t nth = 0; nth < std::size(deed_names); ++nth)
            if (static_cast<deed>(nth) != deed::signal) add(life, static_cast<deed>(nth));
        for (std::uint64_t nth = 0; nth <= of_deeds[0].a.most; ++nth)
            life.actions.push_back({.what = deed::client, .at = 0, .a = nth});
        add(life, deed::signal);
    }

    void add(life_plan& life, deed what) {
        const auto& allowed = of_deeds[static_cast<std::size_t>(what)];
        life.actions.push_back({.what = what,
                                .at = some({"at", 0, std::max<std::uint64_t>(life.length, 1)}),
                                .a = some(allowed.a),
                                .b = some(allowed.b),
                                .c = some(allowed.c)});
        if (what == deed::signal) life.actions.back().a = signals[is_least_ ? 0 : chance_.below(std::size(signals))];
    }

    /// Small ones as often as large ones, and the ends.
    std::uint64_t some(const range& of) {
        if (is_least_ || chance_.one_in(6)) return of.least;
        if (chance_.one_in(12)) return of.most;
        const auto bits = chance_.upto(static_cast<std::uint64_t>(std::bit_width(of.most - of.least)));
        return std::min(of.most, of.least + chance_.below(std::uint64_t{1} << bits));
    }

    random_source chance_;
    const bool is_least_;
    plan made_;
};

}  // namespace

std::string fault_of(const plan& what) {
    for (const auto& [name, value] : what.settings)
        if (std::ranges::count(settings, name, &range::name) == 0) return "unknown: " + name;
    for (const auto& allowed : settings)
        if (auto fault = fault_of(allowed, what.get(allowed.name)); !fault.empty()) return fault;
    if (what.get("durability") == 0 && what.get("sinks") == 2) return "several sinks have a spool: durability 1 or 2";
    for (const auto& life : what.lives) {
        if (auto fault = fault_of({"length", 0, minute_in_us}, life.length, "end"); !fault.empty()) return fault;
        for (const auto& each : life.actions)
            if (auto fault = fault_of_action(each); !fault.empty()) return fault;
    }
    return {};
}

plan any_plan(std::uint64_t seed) { return any_author(seed).write(); }

}  // namespace simulator
