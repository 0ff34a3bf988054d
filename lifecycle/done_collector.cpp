#include "lifecycle/done_collector.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "lifecycle/lines.hpp"

namespace lifecycle {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

namespace {

constexpr int most_tries = 1'000;  // to begin a stop, a millisecond each, when there is no memory for it
/// The part of it for the stacks: a thread in an uninterruptible wait does not answer, and the report must be written.
constexpr milliseconds stacks_share{50}, stack_share{25};
/// What runs beside main is waited for until the end of the budget, and for this long after that: the part of the
/// report's share for the last notes.
constexpr milliseconds least_patience{10}, notes_share{60};
/// For the stack of a note that has not come by then.
constexpr milliseconds last_stack_share{10};
/// An fsync(2) of a busy disk takes tenths of a second, and what does not return in time has the exit code of what
/// hangs.
constexpr milliseconds least_to_sync{1'000};
/// A reload or an upgrade, for which no exit should wait.
constexpr milliseconds most_patience{250};

}  // namespace

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
      note_report_("note-report", workers, log, [&stop] { stop.wake(); }),
      parts_(stop, workers, log) {
    signals_.start_is_over();
    workers_.on_death([this](const std::string& name, const char* why) { on_death(name, why); });
}

done_collector::~done_collector() { workers_.on_death({}); }

/// On the thread that dies, most likely from a lack of memory: it says so when it can, and goes on until the stop has
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
    // Before the process can count as ready.
    parts_.require_all();
    stop_.complete();
    for (;;) {
        if (const auto end = step(hooks)) return conclude(hooks, *end);
        poll_once(stop_.next_step());
        on_signal(hooks);
    }
}

/// Whether the stop has come to its end: with all parts, or with its budget (true).
std::optional<bool> done_collector::step(const hooks& hooks) {
    using enum stop_sequence::happening;
    std::optional<bool> end;
    bool new_phase = false;
    const auto& events = stop_.step();
    for (const auto& event : events) {
        obey(event, hooks);
        new_phase =
            new_phase || event.what == ready || event.what == began || event.what == withdrawn || event.what == entered;
        if (event.what == finished || event.what == over) end = event.what == over;
    }
    if (new_phase && !end && hooks.progress)  // how it ended is told in a moment
        note_progress_.post([this, status = stop_.now(), &hooks] { call("progress", hooks.progress, status); });
    return end;
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
    ::ppoll(descriptors, 2, next == clock::time_point::max() ? nullptr : &timeout, nullptr);
    std::uint64_t events;
    // Emptied before the next step looks: what happens after this wakes it again.
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

/// Workers that `is_late` holds for. Their stacks take `share` at most.
template <class IsLate>
std::vector<shutdown_report::straggler> done_collector::stragglers(const hooks& hooks, milliseconds share,
                                                                   const IsLate& is_late) const {
    std::vector<shutdown_report::straggler> late;
    const auto until = clock::now() + share;
    for (const auto& worker : workers_.list()) {
        if (!is_late(worker.name)) continue;
        const auto now = clock::now();
        const bool ask = worker.thread != 0 && hooks.where && now < until;
        const auto limit = std::min(stack_share, duration_cast<milliseconds>(until - now));
        late.push_back({worker.name, worker.kind, duration_cast<milliseconds>(now - worker.born), {}});
        if (ask) call("where", [&] { late.back().where = hooks.where(worker.thread, limit); });
    }
    return late;
}

void done_collector::obey(const stop_sequence::event& event, const hooks& hooks) {
    using enum stop_sequence::happening;
    switch (event.what) {
        case ready:
            call("ready", hooks.ready);
            announce(true, hooks);
            break;
        case not_up:
            lines(log_).error("{part} is not up in time: the service cannot start", parts_.name(event.part));
            stop_.fail(parts_.name(event.part));
            break;
        case began: stop_begins(event.cause, hooks); break;
        case withdrawn:
            signals_.arm_hard_stop({});
            log_.info("stop withdrawn: serving again");
            if (stop_.has_been_ready()) announce(true, hooks);
            break;
        case frozen: tell_of_freeze(event.gap); break;
        case shortened: {
            const auto left = stop_.now().left;
            signals_.arm_hard_stop(left + report_share);
            lines(log_).info("the stop must be over within {left_ms} ms", left.count());
            break;
        }
        case forced:
            signals_.arm_hard_stop(stop_.now().left + report_share);
            log_.warn("second signal: everything ends within a second");
            name_stragglers(hooks, "at the second signal");
            break;
        case warn: name_stragglers(hooks, "at 80 % of the budget"); break;
        case ask:
            lines(log_).info("stopping {part}", parts_.name(event.part));
            parts_.ask(event.part);
            break;
        case entered:
        case finished:
        case over: break;
    }
}

void done_collector::stop_begins(const std::string& cause, const hooks& hooks) {
    const auto status = stop_.now();
    signals_.arm_hard_stop(status.left + report_share);  // first: whatever hangs from here on
    stop_began_ = std::chrono::system_clock::now();
    parts_.name_late();
    lines(log_).info("stop begun by {cause}: budget {budget_ms} ms, lame duck {lame_duck_ms} ms", cause,
                     stop_.options().budget.count(), stop_.options().lame_duck.count());
    if (stop_.has_been_ready()) announce(false, hooks);
    if (stop_.options().report.empty()) return;
    note_report_.post([this] {  // while there is time to say that it cannot be
        report_fault_ = report_.open(stop_.options().report);
        if (!report_fault_.empty()) lines(log_).error("shutdown.report: {error}", report_fault_);
    });
}

void done_collector::tell_of_freeze(std::chrono::milliseconds gap) {
    const auto status = stop_.now();
    signals_.was_frozen(gap);
    signals_.arm_hard_stop(status.left + report_share);
    lines(log_).warn("frozen for {frozen_ms} ms in this stop, which do not count: {left_ms} ms are left",
                     status.frozen.count(), status.left.count());
}

void done_collector::announce(bool answers, const hooks& hooks) {
    if (!hooks.announce) return;
    note_ready_.post([this, answers, &hooks] { call("announce", hooks.announce, answers); });
}

void done_collector::name_stragglers(const hooks& hooks, const char* when) const {
    for (const auto& late : stragglers(hooks, stacks_share, [this](const auto& name) { return parts_.asked(name); }))
        lines(log_).warn("still running {when}: {kind} {worker} for {age_ms} ms{}{where}", when, late.kind, late.name,
                         late.age.count(), late.where.empty() ? "" : " in ", late.where);
    stop_.alive();
}

/// Waits until nothing of it is under way, but not longer than `most`, nor, when `least` has passed, beyond the end of
/// the budget. Signals are heard meanwhile.
bool done_collector::settled(std::initializer_list<const aside*> all, clock::time_point least, clock::time_point most,
                             const hooks& hooks) {
    while (std::any_of(all.begin(), all.end(), [](const aside* aside) { return aside->busy(); })) {
        step(hooks);  // a second signal
        const auto now = clock::now(), until = std::max(least, std::min(most, now + stop_.now().left));
        if (now >= until) return false;
        poll_once(until);
        on_signal(hooks);
    }
    return true;
}

void done_collector::join_idle() {
    for (auto* task : {&reload_, &upgrade_, &stacks_, &note_ready_, &note_progress_, &note_report_})
        if (!task->busy()) task->join();
}

ends done_collector::ends_so_far() const {
    return {.parts = parts_.ends(), .failure = stop_.failed(), .failure_before_ready = stop_.failed_before_ready()};
}

int done_collector::conclude(const hooks& hooks, bool over) {
    const auto now = clock::now(), least = now + least_patience;
    const bool quick =
        settled({&reload_, &upgrade_}, least, now + std::min(stop_.now().left / 2, most_patience), hooks);
    const bool written =
        settled({&stacks_, &note_ready_, &note_progress_, &note_report_}, least, clock::time_point::max(), hooks);
    const auto last_moment = clock::now() + notes_share;
    bool leave = over || !quick || !written;  // something hangs
    join_idle();
    if (!leave) {
        parts_.join();
        leave = workers_.live() > 0;  // a worker that its part has not waited for
    }
    shutdown_report report;
    if (leave) report.stragglers = stragglers(hooks, stacks_share, [](const auto&) { return true; });
    const auto status = stop_.now();
    report.cause = status.cause;
    report.started = stop_began_;
    report.phases = status.phases;
    report.duration = status.elapsed;
    report.notes = status.left >= least_to_sync ? note_file::durability::synced : note_file::durability::none;
    call("account", hooks.account, report);
    // After the account, which may take a moment in which others end.
    report.workers_left += workers_.live();
    // Without a wait when something hangs: there is no time left, and the number is above 0 anyway.
    const int threads = workers_.threads_left(milliseconds(leave ? 0 : 50));
    if (threads >= 0) report.threads_left = threads;

    parts_.name_late();  // those of this stop
    report.exit_code = exit_code_of(ends_so_far(), report);

    leave = write_down(report, leave, last_moment, hooks);
    write_last_lines(report, log_);
    log_.flush();
    if (leave) std::_Exit(report.exit_code);  // destroy nothing under a living thread
    join_idle();
    signals_.settle(report.exit_code);
    return report.exit_code;
}

/// The note of how it ended and the report, both at a time: on a slow disk one wait is enough. The report says whether
/// that note was written, so it is written again where it was not. True when one of them hangs, or something did
/// before.
bool done_collector::write_down(shutdown_report& report, bool leave, clock::time_point least, const hooks& hooks) {
    const auto finish = [&](const aside& aside) {
        if (settled({&aside}, std::max(least, clock::now() + 2 * least_patience), clock::time_point::max(), hooks))
            return;
        for (auto& late : stragglers(hooks, last_stack_share, [&](const auto& name) { return name == aside.name(); }))
            report.stragglers.push_back(std::move(late));
        report.exit_code = std::max<int>(report.exit_code, forced);
        report.notes = note_file::durability::none;
        leave = true;
    };
    const bool note = hooks.ended && !note_progress_.busy();  // what hangs has been named
    const bool file = !stop_.options().report.empty() && !note_report_.busy();
    const auto post_report = [&] {
        if (file) note_report_.post([this, json = report.to_json(), how = report.notes] { write_report(json, how); });
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
