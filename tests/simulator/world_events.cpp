// What clients send and a sink gets: the ledger of the world.

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>

#include "tests/simulator/world.hpp"
#include "tracker/spool/record.hpp"

namespace simulator {
namespace {

using std::chrono::milliseconds;

/// What a client would send who knew how records are checked, and that nothing but that is secret: a record that is
/// text, since events are. Made once: it takes some ten thousand tries.
const std::string& forged_record() {
    static const auto made = [] {
        const tracker::segment_key key(std::string(tracker::salt_size, '\1'));
        tracker::event forged{.id = "forged", .time = {}, .data = {}};
        std::string record;
        const auto is_text = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
        for (int nth = 0; nth < 4'000'000 && (record.empty() || !std::ranges::all_of(record, is_text)); ++nth) {
            forged.data = std::to_string(nth);
            record.clear();
            tracker::append_record(record, key, 0, 77, forged);
        }
        return record;
    }();
    return made;
}

}  // namespace

void world::prepare() { forged_record(); }

int world::new_event(std::string data) {
    events_.push_back({.data = std::move(data), .life = lives_.size()});
    return static_cast<int>(events_.size()) - 1;
}

void world::event_sent(int event) { events_[static_cast<std::size_t>(event)].sent = true; }

void world::event_accepted(int event) {
    events_[static_cast<std::size_t>(event)].accepted = true;
    ++seen_.accepted;
}

std::string world::plain_data(std::uint64_t size) {
    return "data " + std::to_string(events_.size()) + std::string(size, 'z');
}

std::string world::forged_data(std::uint64_t number) {
    std::string data = std::to_string(events_.size());
    data.append(number % 64, '.');
    for (auto records = 1 + number % 40; records > 0; --records) data += forged_record();
    return data;
}

/// Full of what could be the length of a record.
std::string world::large_data(std::uint64_t kilobytes) {
    constexpr std::string_view lengths("\1\0\1\0", 4);
    auto data = std::to_string(events_.size());
    while (data.size() < kilobytes * 1'000) data += lengths;
    return data;
}

/// On a thread of the process, as every sink.
void world::deliver(std::span<const tracker::event> batch) {
    kernel_.call();
    if (sink_ == sink_mode::slow) kernel_.wait(this, now() + milliseconds(sink_ms_));
    if (sink_ == sink_mode::throws) throw std::runtime_error("the sink throws");
    if (sink_ == sink_mode::refuses) throw tracker::refused(tracker::refused::about::the_moment_or_them, "refused");
    if (sink_ == sink_mode::picky && kernel_.chance().one_in(3)) throw std::runtime_error("not this time");
    for (const auto& each : batch) {
        std::size_t number = events_.size();
        if (each.id.starts_with('e'))
            number = static_cast<std::size_t>(std::strtoull(each.id.c_str() + 1, nullptr, 10));
        if (number >= events_.size() || !events_[number].sent || events_[number].data != each.data)
            return broken("forged", "a sink got what nobody has sent", each.id + ": " + each.data.substr(0, 100));
        seen_.twins += events_[number].delivered++ > 0;
        ++seen_.delivered;
    }
}

bool world::all_delivered() const {
    if (plan_.get("sinks") != 1)  // the cheap one first: this is asked often
        for (const auto& each : events_)
            if (each.accepted && each.delivered == 0) return false;
    const auto in_file = written();
    for (std::size_t nth = 0; nth < events_.size(); ++nth)
        if (events_[nth].accepted && !has_it(nth, in_file)) return false;
    return true;
}

std::vector<bool> world::written() const {
    constexpr std::string_view before = "{\"id\":\"e";  // nowhere else: in data quotes are escaped
    std::vector<bool> found(events_.size());
    if (plan_.get("sinks") == 0) return found;
    for (const auto& [path, bytes] : disk_.files_in("/var/events")) {
        if (path.find("/events.jsonl") == path.npos) continue;
        for (auto at = bytes.find(before); at != bytes.npos; at = bytes.find(before, at)) {
            at += before.size();
            std::size_t number = found.size();
            const auto [end, error] = std::from_chars(bytes.data() + at, bytes.data() + bytes.size(), number);
            const bool whole = error == std::errc() && end != bytes.data() + bytes.size() && *end == '"';
            if (whole && number < found.size()) found[number] = true;
        }
    }
    return found;
}

bool world::has_it(std::size_t event, const std::vector<bool>& written) const {
    const auto sinks = plan_.get("sinks");
    return (sinks == 1 || events_[event].delivered > 0) && (sinks == 0 || written[event]);
}

}  // namespace simulator
