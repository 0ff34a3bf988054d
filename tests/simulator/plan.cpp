#include "tests/simulator/plan.hpp"

#include <signal.h>

#include <algorithm>
#include <istream>
#include <ostream>
#include <span>
#include <sstream>
#include <stdexcept>

#include "tests/simulator/client.hpp"
#include "tests/simulator/disk.hpp"
#include "tests/simulator/random.hpp"

namespace simulator {
namespace {

/// What a seed is about. One that does everything at once would hide each fault behind another.
enum class theme : std::uint8_t { calm, disk, power, memory, network, attack, stop, upgrade, themes };

class author {
public:
    explicit author(std::uint64_t seed) : chance_(seed) { made_.chance = chance_.next(); }

    plan write() {
        about_ = static_cast<theme>(chance_.below(static_cast<std::uint64_t>(theme::themes)));
        settings();
        for (auto lives = chance_.between(1, 3); lives > 0; --lives) add_life();
        return std::move(made_);
    }

private:
    bool is(theme which) const { return about_ == which; }
    std::uint64_t some(std::uint64_t least, std::uint64_t most) { return chance_.between(least, most); }
    template <class... Numbers>
    std::uint64_t one_of(Numbers... numbers) {
        const std::uint64_t all[] = {static_cast<std::uint64_t>(numbers)...};
        return all[chance_.below(sizeof...(numbers))];
    }

    void settings() {
        auto& s = made_.settings;
        s["threads"] = one_of(1, 1, 2);
        s["durability"] = is(theme::power) ? one_of(2, 2, 1) : one_of(0, 1, 1, 2);
        s["sinks"] = s["durability"] == 0 ? one_of(0, 1) : one_of(0, 0, 1, 2);
        s["budget"] = some(400, 2'000);
        s["lame_duck"] = one_of(0, 0, some(1, 100));
        s["idle_grace"] = one_of(0, some(1, 100), some(100, 300));
        s["flush"] = some(50, 200);
        if (is(theme::attack)) s["durability"] = 1, s["sinks"] = 0;
        s["overflow"] = one_of(0, 0, 1);
        s["queue_capacity"] = one_of(2, 8, 64);
        s["max_in_flight"] = one_of(1, 4, 16, 16);
        s["max_connections"] = one_of(4, 32, 32);
        s["batch_events"] = one_of(1, 4, 16);
        s["segment_kb"] = one_of(1, 4, 64);
        s["one_way"] = is(theme::network) ? one_of(10'000, 30'000, some(1, 20'000)) : one_of(50, some(50, 2'000));
        s["loss"] = is(theme::network) ? one_of(0, 0, 20) : 0;
        s["preempts"] = one_of(3, 10, 40);
        if (is(theme::upgrade)) {
            s["durability"] = one_of(1, 1, 2);
            s["manager"] = some(1, 100);
            s["budget"] = some(1'000, 2'000);
            s["lame_duck"] = some(50, 300);
        }
        // Half a millisecond of the real machine for each connection, so not for many.
        s["tls"] = !is(theme::memory) && made_.chance % 12 == 0 ? 1 : 0;
        s["gap"] = chance_.one_in(3) ? some(0, 2'000) : 0;
    }

    void add(deed what, std::uint64_t a, std::uint64_t b = 0, std::uint64_t c = 0) {
        life_.actions.push_back({what, some(0, life_.length), a, b, c});
    }

    void add_life() {
        life_ = {};
        life_.length = some(20'000, 250'000);
        if (is(theme::memory)) life_.length += 4'000'000;
        for (auto clients = some(1, is(theme::network) ? 12 : 6); clients > 0; --clients) add_client();
        if (is(theme::disk) || (is(theme::power) && chance_.one_in(3)))
            for (auto faults = some(1, 4); faults > 0; --faults) add_disk_fault();
        if (is(theme::memory)) add_memory_fault();
        if (is(theme::memory) && chance_.one_in(8)) life_.actions.push_back({deed::threads, 0, some(1, 3)});
        if (chance_.one_in(is(theme::disk) ? 2 : 3)) add_sink_mode();
        life_.how = ending::term;
        if (is(theme::power)) life_.how = one_of(0, 1, 1) == 0 ? ending::term : ending::power;
        if ((is(theme::disk) || is(theme::attack)) && chance_.one_in(2))
            life_.how = one_of(1, 2) == 1 ? ending::kill : ending::power;
        if (is(theme::stop)) add_stop();
        if (is(theme::upgrade)) add_upgrade();
        std::ranges::stable_sort(life_.actions, {}, &action::at);
        made_.lives.push_back(std::move(life_));
    }

    void add_client() {
        auto script = chance_.below(static_cast<std::uint64_t>(scripts));
        if (chance_.one_in(2)) script = static_cast<std::uint64_t>(script::events);
        if (chance_.one_in(6)) script = static_cast<std::uint64_t>(script::streams);
        if (chance_.one_in(8)) script = static_cast<std::uint64_t>(script::socket);
        if (is(theme::attack) && chance_.one_in(2)) script = static_cast<std::uint64_t>(script::forger);
        if (is(theme::attack) && chance_.one_in(6)) script = static_cast<std::uint64_t>(script::large);
        const auto one_way = made_.get("loss") > 0 ? made_.get("one_way") / 2 + chance_.below(made_.get("one_way") + 1)
                                                   : made_.get("one_way");
        add(deed::client, script, one_way, some(1, 1'000));
        // Some come in the very moment of the stop.
        if (chance_.one_in(3))
            life_.actions.back().at = life_.length - std::min(life_.length, chance_.below(3 * one_way + 500));
    }

    void add_disk_fault() {
        if (chance_.one_in(4)) return add_fault_of_adoption();
        const auto what = chance_.one_in(3) ? std::uint64_t{disk_tree::reading} : chance_.below(disk_tree::faults);
        const bool hangs = what == disk_tree::hanging;
        add(deed::disk, what, one_of(1, 1, some(1, 8), some(1, 40)),
            hangs ? one_of(some(1, 100), some(1, 4'000)) : one_of(0, 0, some(0, 4), some(0, 40)));
        if (chance_.one_in(2)) life_.actions.back().at = chance_.below(5'000);  // while it takes over
    }

    /// Of what the life before has left each file is read from its beginning: the note of each sink first, then a
    /// segment, its header before its records.
    void add_fault_of_adoption() {
        life_.actions.push_back({deed::disk, 0, disk_tree::reading, one_of(1, 1, some(1, 4)), some(0, 8)});
    }

    /// And somebody asks afterwards whether it lives.
    void add_memory_fault() {
        auto when = some(0, 600'000);
        if (chance_.one_in(2)) {
            life_.actions.push_back(
                {deed::memory, when, one_of(some(0, 20), some(0, 400)), one_of(1, 1, some(1, 50), some(50, 100))});
        } else {  // somebody is accepted in that moment
            life_.actions.push_back({deed::client, when, static_cast<std::uint64_t>(script::get), 50, some(1, 1'000)});
            life_.actions.push_back({deed::memory, when + some(100, 160), some(0, 12), some(1, 4), 1});
        }
        life_.actions.push_back(
            {deed::client, when + some(10'000, 400'000), static_cast<std::uint64_t>(script::prober), 50, 1});
    }

    void add_sink_mode() {
        add(deed::sink, one_of(1, 2, 3, 4), some(1, 500));
        if (chance_.one_in(2)) add(deed::sink, 0);
    }

    void add_stop() {
        const auto end = life_.length;
        const auto in_stop = [&] { return end + chance_.below(1'000 * made_.get("budget")); };
        if (chance_.one_in(3)) life_.actions.push_back({deed::signal, in_stop(), SIGTERM});
        if (chance_.one_in(4)) life_.actions.push_back({deed::freeze, in_stop(), some(1, 3'000)});
        if (chance_.one_in(4)) life_.actions.push_back({deed::signal, in_stop(), SIGKILL});
        if (chance_.one_in(3))
            life_.actions.push_back({deed::signal, chance_.below(end), one_of(SIGHUP, SIGUSR2, SIGQUIT)});
        if (chance_.one_in(3))
            life_.actions.push_back(
                {deed::client, chance_.below(end), static_cast<std::uint64_t>(script::shutdown), 100, some(1, 200)});
    }

    /// And somebody who wants a stop, and then does not, about the time when the next process is ready.
    void add_upgrade() {
        life_.length += 400'000;
        const auto when = some(10'000, 200'000);
        life_.actions.push_back({deed::signal, when, SIGUSR2});
        if (chance_.one_in(2))
            life_.actions.push_back({deed::client, when - some(0, 5'000) + chance_.below(1'000 * made_.get("manager")),
                                     static_cast<std::uint64_t>(script::withdrawer), 50, some(1, 500)});
        if (chance_.one_in(6)) life_.actions.push_back({deed::signal, some(0, life_.length), SIGTERM});
        if (chance_.one_in(6)) life_.how = one_of(1, 2) == 1 ? ending::kill : ending::power;
    }

    random_source chance_;
    plan made_;
    life_plan life_;
    theme about_ = theme::calm;
};

std::size_t number_of(std::string_view name, std::span<const std::string_view> all) {
    const auto found = std::ranges::find(all, name);
    if (found == all.end()) throw std::runtime_error("unknown: " + std::string(name));
    return static_cast<std::size_t>(found - all.begin());
}

}  // namespace

std::uint64_t plan::get(std::string_view name) const {
    const auto found = settings.find(name);
    return found == settings.end() ? 0 : found->second;
}

plan plan_of(std::uint64_t seed) { return author(seed).write(); }

void write(std::ostream& to, const plan& what) {
    to << "chance " << what.chance << '\n';
    for (const auto& [name, value] : what.settings) to << "set " << name << ' ' << value << '\n';
    for (const auto& life : what.lives) {
        to << "life\n";
        for (const auto& each : life.actions)
            to << "  " << deed_names[static_cast<std::size_t>(each.what)] << ' ' << each.at << ' ' << each.a << ' '
               << each.b << ' ' << each.c << '\n';
        to << "end " << life.length << ' ' << ending_names[static_cast<std::size_t>(life.how)] << '\n';
    }
}

plan read(std::istream& from) {
    plan made;
    for (std::string line; std::getline(from, line);) {
        std::istringstream words(line.substr(0, line.find('#')));
        std::string first, name;
        if (!(words >> first)) continue;
        if (first == "chance") {
            words >> made.chance;
        } else if (first == "set") {
            words >> name;
            words >> made.settings[name];
        } else if (first == "life") {
            made.lives.emplace_back();
        } else if (made.lives.empty()) {
            throw std::runtime_error("outside of a life: " + line);
        } else if (first == "end") {
            words >> made.lives.back().length >> name;
            made.lives.back().how = static_cast<ending>(number_of(name, ending_names));
        } else {
            action next{.what = static_cast<deed>(number_of(first, deed_names)), .at = 0};
            words >> next.at >> next.a >> next.b >> next.c;
            made.lives.back().actions.push_back(next);
        }
        if (words.fail() || words >> first) throw std::runtime_error("too few numbers, or too many: " + line);
    }
    if (const auto fault = fault_of(made); !fault.empty()) throw std::runtime_error(fault);
    return made;
}

}  // namespace simulator
