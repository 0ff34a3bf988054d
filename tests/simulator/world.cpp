#include "tests/simulator/world.hpp"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "tracker/spool/record.hpp"

namespace simulator {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Beyond its budget, for the kernel timer behind everything, and for machines that are slow.
constexpr milliseconds slack{300};

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

void sights::add(const sights& more) {
    const auto* from = reinterpret_cast<const std::uint64_t*>(&more);
    auto* to = reinterpret_cast<std::uint64_t*>(this);
    for (std::size_t nth = 0; nth < sizeof *this / sizeof *to; ++nth) to[nth] += from[nth];
}

bool life_seen::has(deed what) const {
    return std::ranges::any_of(plan.actions, [what](const auto& each) { return each.what == what; });
}

bool life_seen::has(script what) const {
    return std::ranges::any_of(clients, [what](const auto& each) { return each->what() == what; });
}

std::string life_seen::line(std::string_view with) const {
    const auto at = log.rfind(with);
    return at == log.npos ? std::string() : log.substr(at, log.find('\n', at) - at);
}

world::world(const plan& what, bool tells)
    : plan_(what), tells_(tells), kernel_(what.chance), disk_(kernel_), network_(kernel_) {
    kernel_.disk = &disk_;
    kernel_.wires = &network_;
    if (const auto preempts = plan_.get("preempts"); preempts > 0) kernel_.preempts = static_cast<unsigned>(preempts);
    disk_.make_directory("/var");
    set_up_service();
}

world::~world() = default;

void world::set_up_service() {
    auto& settings = service_.settings;
    const auto ms = [this](std::string_view name) { return milliseconds(plan_.get(name)); };
    settings.app.address = "127.0.0.1";
    settings.app.threads = plan_.get("threads");
    settings.app.max_in_flight = plan_.get("max_in_flight");
    settings.app.max_connections = plan_.get("max_connections");
    settings.app.header_timeout = milliseconds(2'000);
    settings.app.body_timeout = settings.app.data_rate_grace = milliseconds(3'000);
    settings.app.write_timeout = milliseconds(3'000);
    settings.app.request_timeout = milliseconds(1'500);
    settings.shutdown = {.budget = ms("budget"),
                         .lame_duck = ms("lame_duck"),
                         .idle_grace = ms("idle_grace"),
                         .flush = ms("flush"),
                         .report = ""};
    auto& tracker = settings.tracker;
    constexpr std::string_view sinks[][2] = {{"nats", ""}, {"file", ""}, {"file", "nats"}};
    tracker.sinks.clear();
    for (const auto name : sinks[plan_.get("sinks")])
        if (!name.empty()) tracker.sinks.emplace_back(name);
    tracker.directory = "/var/events";
    tracker.durability = static_cast<tracker::durability>(plan_.get("durability"));
    tracker.overflow = static_cast<tracker::overflow>(plan_.get("overflow"));
    tracker.queue_capacity = plan_.get("queue_capacity");
    tracker.batch_events = plan_.get("batch_events");
    tracker.batch_age = milliseconds(2);
    tracker.segment_bytes = plan_.get("segment_kb") * 1'024;
    tracker.spool_bytes = std::size_t{4} << 20U;
    tracker.adopt_interval = milliseconds(500);
    tracker.retry_initial = milliseconds(2);
    tracker.retry_max = milliseconds(50);
    service_.deliver = [this](auto batch) { deliver(batch); };
}

void world::tell(const std::string& line) {
    if (!tells_) return;
    const auto time = std::chrono::duration_cast<microseconds>(now() - std::chrono::hours(1)).count();
    story_ +=
        std::to_string(time / 1'000) + "." + std::to_string(1'000 + time % 1'000).substr(1) + " ms: " + line + '\n';
}

void world::broken(std::string law, std::string text) {
    if (failure_) return;
    tell("broken: " + law + ": " + text);
    failure_ = {std::move(law), std::move(text)};
}

std::optional<failure> world::run() {
    for (const auto& life : plan_.lives) {
        live(life, false);
        if (failure_) return failure_;
    }
    // At last nothing is in its way, and it has time: what it has been entrusted with is delivered now.
    life_plan last;
    last.length = 30'000'000;
    sink_ = sink_mode::takes;
    disk_.failing = {};
    live(last, true);
    if (!failure_) laws(*this).of_all();
    seen_.switches = kernel_.switches;
    return failure_;
}

void world::live(const life_plan& of, bool last) {
    auto& life = *lives_.emplace_back(std::make_unique<life_seen>());
    life.plan = of;
    life.last = last;
    life.of = std::make_unique<process>(kernel_, life.log);
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGQUIT}) ::sigaddset(&life.of->blocked, number);
    life.began = now();
    tell("life " + std::to_string(lives_.size()));
    const auto failed_before = disk_.failed;
    life.of->begin([this] { return service_.run(); });
    schedule(life);
    if (last)
        settle_last(life);
    else
        wait_for_end(life);
    // What is on its way arrives.
    const auto quiet = now() + 4 * microseconds(plan_.get("one_way")) + milliseconds(plan_.get("loss") > 0 ? 500 : 5);
    kernel_.at(quiet, [] {});
    kernel_.run([&] { return now() >= quiet; }, quiet);
    life.left = true;
    for (const auto& client : life.clients) client->abandon();
    life.ready = life.log.find(" ready: app on ") != life.log.npos;
    life.failed_calls = disk_.failed - failed_before;
    disk_.failing = {};
    end(life);
}

void world::schedule(life_seen& life) {
    for (const auto& each : life.plan.actions)
        kernel_.at(life.began + microseconds(each.at), [this, &life, &each] {
            if (!life.of->over) act(life, each);
        });
}

void world::act(life_seen& life, const action& what) {
    tell(std::string(deed_names[static_cast<std::size_t>(what.what)]) + ' ' + std::to_string(what.a) + ' ' +
         std::to_string(what.b) + ' ' + std::to_string(what.c));
    switch (what.what) {
        case deed::client:
            life.clients.push_back(
                std::make_unique<client>(*this, static_cast<script>(what.a), microseconds(what.b), what.c));
            life.clients.back()->begin();
            break;
        case deed::signal:
            if (what.a == SIGTERM && life.asked_to_stop.count() == 0)
                life.asked_to_stop = now();
            else if (what.a == SIGTERM)
                life.forced = true;
            life.of->send(static_cast<int>(what.a));
            break;
        case deed::freeze: life.of->freeze(milliseconds(what.a)); break;
        case deed::disk:
            disk_.failing[what.a] += what.b;
            disk_.hang = milliseconds(what.c);
            break;
        case deed::sink:
            sink_ = static_cast<sink_mode>(what.a);
            sink_ms_ = what.b;
            break;
        case deed::memory:
            life.of->allocations_left = what.a;
            life.of->allocations_fail = what.b;
            break;
        case deed::threads: life.of->threads_fail = what.a; break;
    }
}

/// Until its end comes, is asked for, or should long have come.
void world::wait_for_end(life_seen& life) {
    const auto length = life.began + microseconds(life.plan.length);
    auto& of = *life.of;
    const auto done = [&] { return of.over || failure_.has_value(); };
    kernel_.at(length, [] {});
    kernel_.run([&] { return done() || now() >= length; }, length);
    if (done()) return;
    for (const auto& client : life.clients)
        if (client->what() == script::prober && client->silence() > seconds(3) && life.asked_to_stop.count() == 0 &&
            !of.frozen)
            broken("deaf", "nobody answers, and no stop has begun:\n" + client->describe() + "\n" + life.log);
    tell(std::string("end by ") + std::string(ending_names[static_cast<std::size_t>(life.plan.how)]));
    if (life.plan.how != ending::term) return of.end(0, SIGKILL);
    if (life.asked_to_stop.count() == 0)
        life.asked_to_stop = now();
    else
        life.forced = true;
    of.send(SIGTERM);
    const auto latest = [&] {
        return life.asked_to_stop + milliseconds(plan_.get("budget")) + of.frozen_in_all +
               (of.frozen_in_all.count() > 0 ? seconds(3) : seconds(0)) + slack;
    };
    while (!done() && now() < latest()) {
        kernel_.at(latest(), [] {});
        kernel_.run(done, latest());  // a freeze meanwhile moves it
    }
    if (!done()) broken("budget", "it has not ended with its budget:\n" + life.log);
}

void world::settle_last(life_seen& life) {
    const auto limit = life.began + microseconds(life.plan.length);
    const auto done = [&] { return life.of->over || failure_.has_value(); };
    for (auto look = now() + milliseconds(20); !done() && now() < limit; look = now() + milliseconds(50)) {
        kernel_.at(look, [] {});
        kernel_.run([&] { return done() || now() >= look; }, look);
        if (life.log.find(" ready: app on ") != life.log.npos && all_delivered()) break;
    }
    if (done()) return;
    life.asked_to_stop = now();
    life.of->send(SIGTERM);
    const auto latest = now() + milliseconds(plan_.get("budget")) + slack;
    kernel_.at(latest, [] {});
    if (!kernel_.run(done, latest)) broken("budget", "it has not ended with its budget:\n" + life.log);
}

void world::end(life_seen& life) {
    auto& of = *life.of;
    if (!of.over) of.end(0, SIGKILL);
    kernel_.forget(of);
    ++seen_.lives;
    if (of.killed_by != 0)
        ++seen_.killed;
    else
        ++seen_.exits[std::clamp(of.code, 0, 4)];
    seen_.failed_calls += life.failed_calls;
    seen_.not_ready += life.ready ? 0 : 1;
    tell("exit code " + std::to_string(of.code) + ", signal " + std::to_string(of.killed_by));
    if (tells_) story_ += life.log;
    if (!failure_) laws(*this).of_life(life);
    if (life.plan.how == ending::power && of.killed_by != 0) {
        ++seen_.powerless;
        disk_.lose_power(kernel_.chance());
    }
    kernel_.pass(milliseconds(plan_.get("gap")));
}

std::shared_ptr<way> world::connect(client& from, std::uint16_t port, nanoseconds one_way) {
    return network_.connect(from, port, one_way, plan_.get("loss"));
}

void world::later(client&, nanoseconds delay, std::function<void()> what) {
    kernel_.after(delay, [life = lives_.back().get(), what = std::move(what)] {
        if (!life->left) what();
    });
}

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
            return broken("forged", "nobody has sent " + each.id + ": " + each.data.substr(0, 100));
        seen_.twins += events_[number].delivered++ > 0;
        ++seen_.delivered;
    }
}

bool world::all_delivered() const {
    if (plan_.get("sinks") != 1)  // the cheap one first: this is asked often
        for (const auto& each : events_)
            if (each.accepted && each.delivered == 0) return false;
    const auto written = lines();
    for (std::size_t nth = 0; nth < events_.size(); ++nth)
        if (events_[nth].accepted && !has_it(nth, written)) return false;
    return true;
}

std::string world::lines() const {
    std::string all;
    if (plan_.get("sinks") == 0) return all;
    for (const auto& [path, bytes] : disk_.files_in("/var/events"))
        if (path.find("/events.jsonl") != path.npos) all += bytes;
    return all;
}

bool world::has_it(std::size_t event, std::string_view written) const {
    const auto sinks = plan_.get("sinks");
    if (sinks != 1 && events_[event].delivered == 0) return false;
    return sinks == 0 || written.find("{\"id\":\"" + event_id(static_cast<int>(event)) + '"') != written.npos;
}

}  // namespace simulator
