#include "lifecycle/done_collector.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <utility>

#include "lifecycle/lines.hpp"

namespace lifecycle {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

namespace {

constexpr int most_tries = 1'000;  // to begin a stop, a millisecond each, when there is no memory for it
/// Of it, for the stacks: a thread that is in an uninterruptible wait does not answer, and the report must be written.
constexpr milliseconds stacks_share{50}, stack_share{25};
/// What runs aside is waited for until the end of the budget, and so long when that has come; of the report's share,
/// for the last notes.
constexpr milliseconds least_patience{10}, notes_share{70};
/// A reload or an upgrade, which nobody's exit should wait for.
constexpr milliseconds most_patience{250};

}  // namespace

struct done_collector::part {
    std::string name;
    std::mutex mutex;
    bool ended = false;
    bool failed = false;
    bool before_ready = false;
    bool asked = false;
    std::jthread thread;  // last: it uses the rest
};

done_collector::done_collector(stop_channel& stop, signals& signals, workers& workers, spdlog::logger& log)
    : stop_(stop),
      signals_(signals),
      workers_(workers),
      log_(log),
      reload_("reload", workers, log, [&stop] { stop.wake(); }),
      upgrade_("upgrade", workers, log, [&stop] { stop.wake(); }),
      stacks_("stacks", workers, log, [&stop] { stop.wake(); }),
      note_ready_("note-ready", workers, log, [&stop] { stop.wake(); }),
      note_progress_("note-progress", workers, log, [&stop] { stop.wake(); }),
      note_report_("note-report", workers, log, [&stop] { stop.wake(); }) {
    signals_.start_is_over();
    workers_.on_death([this](const std::string& name, const char* why) { on_death(name, why); });
}

done_collector::~done_collector() { workers_.on_death({}); }

/// On the thread that dies, most likely for want of memory: it says so when it can, and goes on until the stop has
/// begun.
void done_collector::on_death(const std::string& name, const char* why) const noexcept {
    try {
        lines(log_).error("{worker} has failed, the service stops: {error}", name, why);
    } catch (...) {}  // the report names it
    for (int tries = 0; tries < most_tries; ++tries) {
        try {
            return stop_.fail(name);
        } catch (const std::exception&) {
            std::this_thread::sleep_for(milliseconds(1));
        }
    }
}

void done_collector::start(std::string name, std::function<void(std::stop_token)> run, milliseconds reserved) {
    const auto index = stop_.add_part(name, reserved);
    parts_.push_back(std::make_unique<part>());
    auto& made = *parts_.back();
    made.name = name;
    auto body = [this, index, &made, run = std::move(run)](std::stop_token stop) {
        std::optional<std::string> error;
        try {
            run(std::move(stop));
        } catch (const std::exception& e) {
            error = e.what();
        } catch (...) {
            error = "an exception that is not a std::exception";
        }
        if (error) lines(log_).error("{part} failed: {error}", made.name, *error);
        {
            const std::scoped_lock lock(made.mutex);
            made.ended = true;
            made.failed = error.has_value();
            made.before_ready = !stop_.has_been_ready();
        }
        stop_.part_ended(index);
    };
    try {
        made.thread = workers_.start(name, "part", std::move(body));
    } catch (const std::exception& e) {  // no thread to be had: the part has failed, the others roll back
        made.ended = made.failed = true;
        made.before_ready = !stop_.has_been_ready();
        lines(log_).error("{part} failed: {error}", name, e.what());
        stop_.part_ended(index);
    }
}

/// What a hook throws is a line: wait() must not be left while parts run.
template <class Hook, class... Arguments>
void done_collector::call(const char* name, const Hook& hook, Arguments&&... arguments) const {
    try {
        if constexpr (requires { hook == nullptr; })
            if (hook == nullptr) return;
        hook(std::forward<Arguments>(arguments)...);
    } catch (const std::exception& e) {
        lines(log_).error("{part}: {error}", name, e.what());
    }
}

int done_collector::wait(const hooks& hooks) {
    for (;;) {
        if (!announced_ready_ && stop_.is_ready()) {
            announced_ready_ = true;
            call("ready", hooks.ready);
            announce(true, hooks);
        }
        const auto actions = stop_.step();
        obey(actions, hooks);
        if (actions.finished || actions.over) return conclude(hooks, actions.over);
        poll_once(stop_.next_step());
        on_signal(hooks);
    }
}

/// Waits for a signal, an event of the stop channel, or `next`, the time when a decision is due.
void done_collector::poll_once(clock::time_point next) {
    pollfd descriptors[] = {{signals_.descriptor(), POLLIN, 0}, {stop_.event(), POLLIN, 0}};
    timespec timeout = {};
    if (next != clock::time_point::max()) {
        const auto left = std::max(clock::duration::zero(), next - clock::now());
        timeout.tv_sec = duration_cast<std::chrono::seconds>(left).count();
        timeout.tv_nsec = (left % std::chrono::seconds(1)).count();
    }
    stop_.alive();
    ::ppoll(descriptors, 2, next == clock::time_point::max() ? nullptr : &timeout, nullptr);
    std::uint64_t events;
    [[maybe_unused]] const auto drained = ::read(stop_.event(), &events, sizeof events);
}

void done_collector::on_signal(const hooks& hooks) {
    for (auto signal = signals_.next(); signal.what != signals::kind::none; signal = signals_.next()) {
        switch (signal.what) {
            case signals::kind::stop: stop_.signal(signal.name); break;
            case signals::kind::stacks: stacks_.post([this, &hooks] { call("stacks", hooks.stacks); }); break;
            case signals::kind::reload: on_reload(signal.name, hooks); break;
            case signals::kind::upgrade: on_upgrade(signal.name, hooks); break;
            case signals::kind::none: break;
        }
    }
}

/// What has changed since a reload under way has looked must not be lost: another one follows it.
void done_collector::on_reload(const char* signal, const hooks& hooks) {
    const auto in_time = [this, signal] {
        const bool stopping = stop_.stopping();
        if (stopping) lines(log_).info("{signal} ignored: the service is stopping", signal);
        return !stopping;
    };
    if (!in_time()) return;
    if (reload_.busy()) lines(log_).info("{signal}: a reload is under way, another one follows", signal);
    reload_.post([this, in_time, &hooks] {
        if (in_time()) call("reload", hooks.reload);
    });
}

void done_collector::on_upgrade(const char* signal, const hooks& hooks) {
    if (stop_.stopping())
        lines(log_).info("{signal} ignored: the service is stopping", signal);
    else if (reload_.busy() || upgrade_.busy())
        lines(log_).info("{signal} ignored: {part} is under way", signal, reload_.busy() ? "reload" : "upgrade");
    else
        upgrade_.post([this, &hooks] { call("upgrade", hooks.upgrade); });
}

void done_collector::obey(const stop_sequence::actions& actions, const hooks& hooks) {
    const auto status = stop_.now();
    const bool stopping = status.phase >= stop_phase::lame_duck;
    if (stopping && status.began != announced_stop_) stop_begins(status, hooks);  // or again, the last one withdrawn
    if (!stopping && announced_stop_ != clock::time_point{}) {
        announced_stop_ = {};
        signals_.arm_hard_stop({});
        log_.info("stop withdrawn: serving again");
        announce(true, hooks);
    }
    tell_of_freeze(status);
    force(status, hooks);
    tell(status, hooks);
    if (actions.warn && !actions.finished) name_stragglers(hooks, "at 80 % of the budget");
    for (const auto index : actions.stop) {
        auto& part = *parts_[index];
        {
            const std::scoped_lock lock(part.mutex);
            part.asked = true;
        }
        lines(log_).info("stopping {part}", part.name);
        part.thread.request_stop();
    }
}

void done_collector::stop_begins(const stop_channel::status& status, const hooks& hooks) {
    signals_.arm_hard_stop(status.left + report_share);  // first: whatever hangs from here on
    announced_stop_ = status.began;
    stop_began_ = std::chrono::system_clock::now();
    lines(log_).info("stop begun by {cause}: budget {budget_ms} ms, lame duck {lame_duck_ms} ms", status.cause,
                     stop_.options().budget.count(), stop_.options().lame_duck.count());
    announce(false, hooks);
    if (stop_.options().report.empty()) return;
    note_report_.post([this] {  // while there is time to say that it cannot be
        report_fault_ = report_.open(stop_.options().report);
        if (!report_fault_.empty()) lines(log_).error("shutdown.report: {error}", report_fault_);
    });
}

void done_collector::tell_of_freeze(const stop_channel::status& status) {
    if (status.frozen == announced_freeze_) return;
    const auto gap = status.frozen - std::exchange(announced_freeze_, status.frozen);
    if (status.frozen.count() == 0) return;  // another stop, and the last one was withdrawn
    signals_.was_frozen(gap);
    signals_.arm_hard_stop(status.left + report_share);
    lines(log_).warn("frozen for {frozen_ms} ms in this stop, which do not count: {left_ms} ms are left",
                     status.frozen.count(), status.left.count());
}

void done_collector::force(const stop_channel::status& status, const hooks& hooks) {
    if (!status.forced || announced_force_) return;
    announced_force_ = true;
    signals_.arm_hard_stop(status.left + report_share);
    log_.warn("second signal: everything ends within a second");
    name_stragglers(hooks, "at the second signal");
}

void done_collector::tell(const stop_channel::status& status, const hooks& hooks) {
    if (status.phase == stop_phase::stopped) return;  // how it ended is told in a moment
    if (status.phase == told_phase_ && status.phases.size() == told_records_) return;
    told_phase_ = status.phase;
    told_records_ = status.phases.size();
    if (hooks.progress) note_progress_.post([this, status, &hooks] { call("progress", hooks.progress, status); });
}

void done_collector::announce(bool answers, const hooks& hooks) {
    if (!hooks.announce || !announced_ready_) return;
    note_ready_.post([this, answers, &hooks] { call("announce", hooks.announce, answers); });
}

void done_collector::name_stragglers(const hooks& hooks, const char* when) const {
    for (const auto& late : stragglers(hooks, true))
        lines(log_).warn("still running {when}: {kind} {worker} for {age_ms} ms{}{where}", when, late.kind, late.name,
                         late.age.count(), late.where.empty() ? "" : " in ", late.where);
}

std::vector<shutdown_report::straggler> done_collector::stragglers(const hooks& hooks, bool only_asked) const {
    // A worker is named after its part: "app", "app-1".
    const auto asked = [this](const std::string& worker) {
        return std::any_of(parts_.begin(), parts_.end(), [&](const auto& part) {
            return part->asked && (worker == part->name || worker.starts_with(part->name + '-'));
        });
    };
    std::vector<shutdown_report::straggler> late;
    const auto until = clock::now() + stacks_share;
    for (const auto& worker : workers_.list()) {
        if (only_asked && !asked(worker.name)) continue;
        const auto now = clock::now();
        const bool ask = worker.thread != 0 && hooks.where && now < until;
        const auto limit = std::min(stack_share, duration_cast<milliseconds>(until - now));
        late.push_back({worker.name, worker.kind, duration_cast<milliseconds>(now - worker.born), {}});
        if (ask) call("where", [&] { late.back().where = hooks.where(worker.thread, limit); });
    }
    return late;
}

/// Waits until nothing of it is under way, but not longer than `most`, nor, when `least` has passed, beyond the end of
/// the budget. Signals are heard meanwhile.
bool done_collector::settled(std::initializer_list<const aside*> all, clock::time_point least, clock::time_point most,
                             const hooks& hooks) {
    while (std::any_of(all.begin(), all.end(), [](const aside* one) { return one->busy(); })) {
        const auto status = stop_.now();
        force(status, hooks);
        const auto now = clock::now(), until = std::max(least, std::min(most, now + status.left));
        if (now >= until) return false;
        poll_once(until);
        on_signal(hooks);
    }
    return true;
}

void done_collector::join_idle() {
    for (auto* one : {&reload_, &upgrade_, &stacks_, &note_ready_, &note_progress_, &note_report_})
        if (!one->busy()) one->join();
}

int done_collector::code_of_parts() const {
    int code = exit_code::clean;
    for (const auto& part : parts_) {
        const std::scoped_lock lock(part->mutex);
        if (!part->failed && (!part->ended || part->asked)) continue;
        code = std::max<int>(code, part->before_ready ? could_not_start : part_failed);
    }
    if (stop_.failed()) code = std::max<int>(code, stop_.failed_before_ready() ? could_not_start : part_failed);
    return code;
}

int done_collector::conclude(const hooks& hooks, bool over) {
    const auto now = clock::now(), least = now + least_patience;
    const bool quick =
        settled({&reload_, &upgrade_}, least, now + std::min(stop_.now().left / 2, most_patience), hooks);
    const bool written =
        settled({&stacks_, &note_ready_, &note_progress_, &note_report_}, least, clock::time_point::max(), hooks);
    const auto last_moment = clock::now() + notes_share;
    bool leave = over || !quick || !written;  // somebody hangs
    join_idle();
    if (!leave) {
        for (auto& part : parts_)
            if (part->thread.joinable()) part->thread.join();
        leave = workers_.live() > 0;  // a worker that its part has not waited for
    }
    shutdown_report report;
    if (leave) report.stragglers = stragglers(hooks, false);
    const auto status = stop_.now();
    report.cause = status.cause;
    report.started = stop_began_;
    report.phases = status.phases;
    report.duration = status.elapsed;
    call("account", hooks.account, report);
    report.workers_left += workers_.live();
    const int threads = workers_.threads_left(milliseconds(leave ? 0 : 50));
    if (threads >= 0) report.threads_left = threads;

    report.exit_code = code_of_parts();
    const bool cut = report.requests.cut > 0 || !report.stragglers.empty() || report.workers_left > 0 ||
                     report.threads_left.value_or(0) > 0 || report.events.lost;
    if (cut) report.exit_code = std::max<int>(report.exit_code, forced);
    if (!report.events.balanced) report.exit_code = std::max<int>(report.exit_code, unbalanced);

    leave = write_down(report, leave, last_moment, hooks);
    for (const auto& late : report.stragglers)
        lines(log_).error("not home: {kind} {worker} after {age_ms} ms{}{where}", late.kind, late.name,
                          late.age.count(), late.where.empty() ? "" : " in ", late.where);
    lines(log_).info(
        "stopped in {duration_ms} ms, code {exit_code}: {answered} answered, {cut} cut, {events_left} events left",
        report.duration.count(), report.exit_code, report.requests.finished, report.requests.cut,
        report.events.spooled);
    lines(log_).info("shutdown report {report}", json_value{report.to_json()});
    log_.flush();
    if (leave) std::_Exit(report.exit_code);  // destroy nothing under a living thread
    join_idle();
    signals_.settle(report.exit_code);
    return report.exit_code;
}

/// The note of how it ended and the report, both at a time: on a slow disk one wait is enough. The report says whether
/// that note was written, so it is written again where it was not. True when one of them hangs, or somebody did before.
bool done_collector::write_down(shutdown_report& report, bool leave, clock::time_point least, const hooks& hooks) {
    const auto finish = [&](const aside& one) {
        if (settled({&one}, std::max(least, clock::now() + 2 * least_patience), clock::time_point::max(), hooks))
            return;
        for (auto& late : stragglers(hooks, false))
            if (late.name == one.name()) report.stragglers.push_back(std::move(late));
        report.exit_code = std::max<int>(report.exit_code, forced);
        leave = true;
    };
    const bool note = hooks.ended && !note_progress_.busy();  // what hangs has been named
    const bool file = !stop_.options().report.empty() && !note_report_.busy();
    const auto post_report = [&] {
        const auto how = stop_.now().left.count() > 0 ? note_file::durability::synced : note_file::durability::none;
        if (file) note_report_.post([this, json = report.to_json(), how] { write_report(json, how); });
    };
    if (note) note_progress_.post([this, report, &hooks] { call("ended", hooks.ended, report); });
    post_report();
    if (note && !leave) {
        finish(note_progress_);
        if (leave) post_report();
    }
    if (file) finish(note_report_);
    if (note && leave) settled({&note_progress_}, least, least, hooks);
    return leave;
}

void done_collector::write_report(const std::string& json, note_file::durability how) {
    auto why = report_.open(stop_.options().report);  // again, should it not have been possible
    if (why.empty()) why = report_.write(json, how);
    if (!why.empty() && why != report_fault_) lines(log_).error("shutdown.report: {error}", why);
}

}  // namespace lifecycle
