#include "tests/simulator/world.hpp"

#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "tests/simulator/secured_way.hpp"
#include "tests/simulator/socket_client.hpp"
#include "tests/simulator/streams_client.hpp"

namespace simulator {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Beyond its budget, for the kernel timer behind everything, and for machines that are slow.
constexpr milliseconds slack{300};

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

bool life_seen::wanted() const {
    for (const auto& client : clients) {
        if (client->what() == script::shutdown) return false;
        if (client->what() != script::withdrawer) continue;
        const auto& asked = client->requests();
        if (asked[1].connection >= 0 && asked[2].status != 200) return false;
    }
    return true;
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
    kernel_.manager_takes = milliseconds(plan_.get("manager"));
    // A service manager is there when it has something to do.
    plan_.get("manager") > 0 ? ::setenv("NOTIFY_SOCKET", "@manager", 1) : ::unsetenv("NOTIFY_SOCKET");
    disk_.make_directory("/var");
    set_up_service();
}

world::~world() = default;

void world::set_up_service() {
    auto& settings = service_.settings;
    const auto ms = [this](std::string_view name) { return milliseconds(plan_.get(name)); };
    settings.app.address = "127.0.0.1";
    if (plan_.get("tls") != 0) {
        disk_.hold("app.crt", own_identity().certificate);
        disk_.hold("app.key", own_identity().key);
        settings.app.tls.certificate = {"/app.crt"};
        settings.app.tls.key = {"/app.key"};
    }
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

void world::broken(std::string law, std::string how, std::string details) {
    if (failure_) return;
    failure_ = {std::move(law), std::move(how), std::move(details)};
    tell("broken: " + failure_->text());
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
    life.of = made_process(life);
    tell("life " + std::to_string(lives_.size()));
    const auto failed_before = disk_.failed;
    kernel_.spawn = nullptr;
    if (life.has(deed::signal) && plan_.get("manager") > 0)
        kernel_.spawn = [this, &life](const auto& descriptors) { return spawn(life, descriptors); };
    life.of->begin([this] { return service_.run(); });
    schedule(life);
    add_crowd(life);
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
    life.failed_calls = disk_.failed - failed_before;
    disk_.failing = {};
    for (auto* const each : {&life, life.heir})
        if (each != nullptr) each->ready = each->log.find(" ready: app on ") != each->log.npos;
    if (life.heir != nullptr) {
        life.heir->failed_calls = life.failed_calls;
        life.heir->asked_to_stop = life.asked_to_stop;
        life.heir->left = true;
        end(*life.heir);
    }
    end(life);
    if (life.plan.how == ending::power && life.of->killed_by != 0) {
        disk_.lose_power(kernel_.chance());
        ++seen_.powerless;
    }
    kernel_.pass(milliseconds(plan_.get("gap")));
}

std::unique_ptr<process> world::made_process(life_seen& life) {
    auto made = std::make_unique<process>(kernel_, life.log);
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGQUIT}) ::sigaddset(&made->blocked, number);
    life.began = now();
    return made;
}

/// The next process of an upgrade; once a life.
process* world::spawn(life_seen& parent, const std::vector<description_ptr>& descriptors) {
    if (parent.heir != nullptr || parent.of->over) return nullptr;
    auto& made = *lives_.emplace_back(std::make_unique<life_seen>());
    made.plan = parent.plan;
    made.inherited = true;
    made.of = made_process(made);
    made.of->number = successor_number;
    for (const auto& each : descriptors) made.of->open(each);
    parent.heir = &made;
    tell("the next process begins");
    made.of->begin([this] { return service_.run(); });
    return made.of.get();
}

void world::schedule(life_seen& life) {
    for (const auto& each : life.plan.actions)
        kernel_.at(life.began + microseconds(each.at), [this, &life, &each] {
            if (!life.over()) act(life, each);
        });
}

void world::add_client(life_seen& life, script what, nanoseconds one_way, std::uint64_t number) {
    switch (what) {
        case script::streams: life.clients.push_back(std::make_unique<streams_client>(*this, one_way, number)); break;
        case script::socket: life.clients.push_back(std::make_unique<socket_client>(*this, one_way, number)); break;
        default: life.clients.push_back(std::make_unique<client>(*this, what, one_way, number)); break;
    }
    life.clients.back()->begin();
}

/// So many that have asked something and stay, when a stop comes: of twenty one speaks HTTP/2, and one has a WebSocket.
void world::add_crowd(life_seen& life) {
    const auto size = plan_.get("crowd");
    if (size == 0 || life.last) return;
    for (std::uint64_t nth = 0; nth < size; ++nth)
        kernel_.at(life.began + milliseconds(50) + microseconds(10 * nth), [this, &life, nth] {
            const auto what = nth % 20 == 0 ? script::streams : nth % 20 == 10 ? script::socket : script::get;
            add_client(life, what, microseconds(plan_.get("one_way")), 5 * (nth % 100));
        });
}

void world::act(life_seen& life, const action& what) {
    tell(std::string(deed_names[static_cast<std::size_t>(what.what)]) + ' ' + std::to_string(what.a) + ' ' +
         std::to_string(what.b) + ' ' + std::to_string(what.c));
    switch (what.what) {
        case deed::client: add_client(life, static_cast<script>(what.a), microseconds(what.b), what.c); break;
        case deed::signal: what.a == SIGTERM ? ask_to_stop(life) : life.of->send(static_cast<int>(what.a)); break;
        case deed::freeze: life.of->freeze(milliseconds(what.a)); break;
        case deed::disk:
            disk_.failing[what.a] += what.b;
            if (what.a == disk_tree::hanging)
                disk_.hang = milliseconds(what.c);
            else
                disk_.after[what.a] = what.c;
            break;
        case deed::sink:
            sink_ = static_cast<sink_mode>(what.a);
            sink_ms_ = what.b;
            break;
        case deed::memory:
            life.of->allocations_left = what.a;
            life.of->allocations_fail = what.b;
            life.of->first_loop_only = what.c != 0;
            break;
        case deed::threads: life.of->threads_fail = what.a; break;
    }
}

/// Nobody wants it to end, and it has not: then it serves.
void world::must_listen(const life_seen& life) {
    if (life.asked_to_stop.count() != 0 || !life.wanted() || life.has(deed::memory) || life.has(deed::threads)) return;
    const auto& of = life.heir != nullptr ? *life.heir : life;
    if (of.log.find(" ready: app on ") == of.log.npos || of.of->frozen || life.of->frozen) return;
    const auto found = network_.listening.find(8080);
    const auto socket = found == network_.listening.end() ? nullptr : found->second.lock();
    if (!socket || !socket->listens || socket->turns_away)
        broken("deaf", "nobody listens, and nobody has asked for a stop", life.log + of.log);
}

void world::ask_to_stop(life_seen& life) {
    if (life.asked_to_stop.count() == 0)
        life.asked_to_stop = now();
    else
        life.forced = true;
    life.of->send(SIGTERM);
    if (life.heir != nullptr) life.heir->of->send(SIGTERM);
}

/// Until its end comes, is asked for, or should long have come.
void world::wait_for_end(life_seen& life) {
    const auto length = life.began + microseconds(life.plan.length);
    auto& of = *life.of;
    const auto done = [&] { return life.over() || failure_.has_value(); };
    kernel_.at(length, [] {});
    kernel_.run([&] { return done() || now() >= length; }, length);
    if (done()) return;
    for (const auto& each : life.clients) {
        const auto* const prober = each->what() == script::prober ? dynamic_cast<const client*>(each.get()) : nullptr;
        if (prober != nullptr && prober->silence() > seconds(3) && life.asked_to_stop.count() == 0 && !of.frozen)
            broken("deaf", "nobody answers, and no stop has begun", prober->describe() + "\n" + life.log);
    }
    must_listen(life);
    tell(std::string("end by ") + std::string(ending_names[static_cast<std::size_t>(life.plan.how)]));
    if (life.plan.how != ending::term) {
        if (life.heir != nullptr) life.heir->of->end(0, SIGKILL);
        return of.end(0, SIGKILL);
    }
    ask_to_stop(life);
    const auto latest = [&] {
        return life.asked_to_stop + milliseconds(plan_.get("budget")) + of.frozen_in_all +
               (of.frozen_in_all.count() > 0 ? seconds(3) : seconds(0)) + slack;
    };
    while (!done() && now() < latest()) {
        kernel_.at(latest(), [] {});
        kernel_.run(done, latest());  // a freeze meanwhile moves it
    }
    if (!done()) broken("budget", "it has not ended with its budget", life.log + (life.heir ? life.heir->log : ""));
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
    if (!kernel_.run(done, latest)) broken("budget", "the last life has not ended with its budget", life.log);
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
}

std::shared_ptr<way> world::connect(guest& from, std::uint16_t port, nanoseconds one_way) {
    const auto loss = plan_.get("loss");
    if (plan_.get("tls") == 0 || port != service_.settings.app.port)
        return network_.connect(std::make_shared<way>(kernel_, one_way, loss), from, port);
    const auto made = std::make_shared<secured_way>(kernel_, one_way, loss, from);
    return network_.connect(made, *made, port);
}

void world::later(guest&, nanoseconds delay, std::function<void()> what) {
    kernel_.after(delay, [life = lives_.back().get(), what = std::move(what)] {
        if (!life->left) what();
    });
}

}  // namespace simulator
