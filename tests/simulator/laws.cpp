#include <algorithm>
#include <boost/json.hpp>

#include "tests/simulator/world.hpp"

namespace simulator {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

std::uint64_t number(const json::object& in, std::string_view section, std::string_view name) {
    return in.at(section).as_object().at(name).to_number<std::uint64_t>();
}

}  // namespace

void laws::of_life(const life_seen& life) {
    of_end(life);
    if (life.ended_by_itself()) of_report(life);
    of_clients(life);
}

/// How it ended, whatever it says itself.
void laws::of_end(const life_seen& life) {
    const auto& of = *life.of;
    if (of.killed_by != 0) {
        const bool by_us = life.plan.how != ending::term || life.has(deed::signal);
        if (!by_us)
            broken("exit", "nobody has sent the signal " + std::to_string(of.killed_by) + " that has ended it",
                   life.log);
        return;
    }
    const bool had_memory = !life.has(deed::memory) && !life.has(deed::threads);
    const bool had_disk = life.failed_calls == 0;
    const auto code = of.code;
    const bool may = code == 0 || code == 3 || (code == 1 && !(had_memory && had_disk)) || (code == 2 && !had_memory);
    if (!may) broken("exit", "exit code " + std::to_string(code), life.log);
    if (life.last && code != 0)
        broken("exit", "nothing is in its way, and the exit code is " + std::to_string(code), life.log);
    if (life.last && !life.ready) broken("exit", "nothing is in its way, and it was never ready", life.log);
    const bool upgraded = life.inherited || life.heir != nullptr;
    if (life.asked_to_stop.count() == 0 && had_memory && code != 1 && life.wanted() && !upgraded)
        broken("exit", "it ended unasked, with exit code " + std::to_string(code), life.log);
}

/// The report says what must be true, and the exit code what it says.
void laws::of_report(const life_seen& life) {
    constexpr std::string_view before = "shutdown report ";
    const auto line = life.line(before);
    if (line.empty()) {
        const bool early = !life.ready || life.of->code == 1;
        const bool hung = life.of->code == 3 && (life.has(deed::freeze) || life.has(deed::memory));
        if (!early && !hung) broken("report", "there is none", life.log);
        return;
    }
    const auto report = json::parse(std::string_view(line).substr(before.size())).as_object();
    const auto of = [&](std::string_view section, std::string_view name) { return number(report, section, name); };
    if (of("connections", "open_at_stop") + of("connections", "accepted_after") !=
        of("connections", "closed_idle") + of("connections", "finished") + of("connections", "forced"))
        broken("identities", "of connections", line);
    if (of("requests", "in_flight_at_stop") + of("requests", "begun_after") !=
        of("requests", "finished") + of("requests", "cut") + of("requests", "gone"))
        broken("identities", "of requests", line);
    std::uint64_t dropped = 0, deliberately = 0;
    for (const auto& [reason, count] : report.at("events").at("dropped").as_object()) {
        dropped += count.to_number<std::uint64_t>();
        if (reason == "overflow" || reason == "dead_letter") deliberately += count.to_number<std::uint64_t>();
    }
    if (of("events", "accepted") + of("events", "recovered") !=
        of("events", "delivered") + of("events", "spooled") + dropped)
        broken("identities", "of events", line);
    const auto code = static_cast<int>(report.at("exit_code").to_number<std::int64_t>());
    const bool bad = of("requests", "cut") > 0 || dropped > deliberately ||
                     !report.at("stragglers").as_array().empty() ||
                     report.at("workers_left").to_number<std::uint64_t>() > 0 ||
                     report.at("threads_left").to_number<std::uint64_t>() > 0;
    if (code != life.of->code && life.of->code != 3) broken("exit", "the report says another exit code", line);
    if (bad && code < 3) broken("exit", "something was cut or lost, and the exit code does not say so", line);
    if (!bad && code >= 3) broken("exit", "the exit code says that something was cut or lost", line);
    for (const auto& name : life.of->living_at_end) {
        const bool named = std::ranges::any_of(report.at("stragglers").as_array(),
                                               [&](const auto& late) { return late.at("name").as_string() == name; });
        const bool its_own = name == "log" || name == "signal" || name.starts_with("note-") || name.empty();
        if (!named && !its_own) broken("stragglers", name + " lives, and is not named", line);
    }
    world_.seen_.cut += of("requests", "cut");
    world_.seen_.recovered += of("events", "recovered");
}

/// All are equally far, and nobody's patience is shorter than the way: then nobody is lost on it.
bool laws::is_steady(const life_seen& life) const {
    const auto& plan = world_.plan_;
    if (plan.get("loss") > 0 || life.heir != nullptr || life.has(deed::memory) || life.has(deed::threads) ||
        life.has(deed::freeze) || life.forced)
        return false;
    const auto trips = plan.get("tls") != 0 ? 10 : 6;
    if (milliseconds(plan.get("idle_grace")) <
        std::chrono::microseconds(trips * plan.get("one_way")) + milliseconds(40))
        return false;
    const auto known = [&](const auto& client) {
        return client->is_patient() && std::ranges::any_of(client->requests(), [&](const auto& each) {
                   return each.status != 0 &&
                          each.sent_at + std::chrono::microseconds(2 * plan.get("one_way")) < life.asked_to_stop;
               });
    };
    return std::ranges::any_of(life.clients, known);
}

void laws::of_clients(const life_seen& life) {
    const auto clean = [](const life_seen& each) { return each.ended_by_itself() && each.of->code == 0; };
    const bool whole = clean(life) && (life.heir == nullptr || clean(*life.heir)) && !life.has(deed::memory) &&
                       !life.has(deed::threads);
    const bool steady = whole && is_steady(life);
    for (const auto& client : life.clients) {
        if (whole && client->is_patient() && client->is_truncated())
            broken("farewell", "a connection with TLS ended without one", client->describe() + "\n" + life.log);
        for (const auto& each : client->requests()) {
            world_.seen_.answered += each.status != 0;
            world_.seen_.refused += each.refused;
            if (!whole || !client->is_patient() || each.connection < 0 || each.status != 0 || each.stopped) continue;
            if (each.garbled)
                broken("lost", "an answer was cut, and the exit code is 0", client->describe() + "\n" + life.log);
            if (each.arrived)
                broken("lost", "a request had arrived, is not answered, and the exit code is 0",
                       client->describe() + "\n" + life.log);
            const bool first = each.begins == 0 && client->what() != script::idle;
            if (each.reset && first && steady)
                broken("lost", "a connection was made, and reset in a stop that nobody hurried",
                       client->describe() + "\n" + life.log);
        }
    }
}

void laws::of_all() { of_events(); }

bool laws::may_be_lost(const world::event& event) const {
    const auto durability = world_.plan_.get("durability");
    // The process that an upgrade has made, or the one before it, which goes on for a while: either may have accepted
    // it.
    const auto last = event.life - 1, first = world_.lives_[last]->inherited ? last - 1 : last;
    for (auto nth = first; nth < world_.lives_.size(); ++nth) {
        const auto& life = *world_.lives_[nth];
        if (life.plan.how == ending::power && !life.ended_by_itself() && durability < 2) return true;
        if (nth <= last && durability == 0 && (!life.ended_by_itself() || life.of->code != 0)) return true;
    }
    return false;
}

/// What was answered 201 is with each sink, or with a human; and with no sink is what nobody has sent.
void laws::of_events() {
    const bool torn =
        std::ranges::any_of(world_.lives_, [](const auto& life) { return life->plan.how == ending::power; });
    const auto count = world_.events_.size();
    std::string letters;
    for (const auto& life : world_.lives_) letters += life->line("dead letter: ");
    for (const auto& [path, bytes] : world_.disk_.files_in("/var/events")) {
        if (path.find("dead-letter") != path.npos) letters += bytes;
        if (path.find("/events.jsonl") == path.npos) continue;
        for (std::size_t from = 0; from < bytes.size();) {
            const auto end = std::min(bytes.find('\n', from), bytes.size());
            json::error_code garbled;
            const auto line = json::parse(bytes.substr(from, end - from), garbled);
            if (garbled && torn) {
                from = end + 1;
                continue;
            }
            const auto* const event = line.if_object();
            if (garbled || event == nullptr || !event->contains("id") || !event->contains("data"))
                return broken("garbled", "a line of a file", path + ": " + std::string(bytes.substr(from, end - from)));
            from = end + 1;
            const std::string id(line.at("id").as_string());
            const auto nth = id.starts_with('e') ? std::strtoull(id.c_str() + 1, nullptr, 10) : count;
            if (nth >= count || !world_.events_[nth].sent || world_.events_[nth].data != line.at("data").as_string())
                return broken("forged", "a file has what nobody has sent", path + ": " + id);
        }
    }
    const auto written = world_.written();
    for (std::size_t nth = 0; nth < count; ++nth) {
        const auto& event = world_.events_[nth];
        if (!event.accepted || world_.has_it(nth, written) || may_be_lost(event) ||
            letters.find(world_.event_id(static_cast<int>(nth)) + '"') != letters.npos)
            continue;
        return broken("accepted", "what was answered 201 is nowhere",
                      world_.event_id(static_cast<int>(nth)) + ", in life " + std::to_string(event.life));
    }
}

}  // namespace simulator
