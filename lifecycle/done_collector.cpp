#include "lifecycle/done_collector.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <optional>

namespace lifecycle {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

namespace {

/// From the end of the budget to the kernel's `_exit`: time for the stacks of what hangs and the report.
constexpr milliseconds report_share{90};
constexpr int most_tries = 1'000;
/// Of it, for the stacks: a thread that is in an uninterruptible wait does not answer, and the report must be written.
constexpr milliseconds stacks_share{50}, stack_share{25};

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
    : stop_(stop), signals_(signals), workers_(workers), log_(log) {
    workers_.on_death([this](const std::string& name, const char* why) { on_death(name, why); });
}

done_collector::~done_collector() { workers_.on_death({}); }

/// On the thread that dies, most likely for want of memory: it says so when it can, and goes on until the stop has
/// begun.
void done_collector::on_death(const std::string& name, const char* why) const noexcept {
    try {
        log_.error("{} has failed, the service stops: {}", name, why);
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
        if (error) log_.error("{} failed: {}", made.name, *error);
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
        log_.error("{} failed: {}", name, e.what());
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
        log_.error("{}: {}", name, e.what());
    }
}

int done_collector::wait(const hooks& hooks) {
    for (;;) {
        if (!announced_ready_ && stop_.is_ready()) {
            announced_ready_ = true;
            call("ready", hooks.ready);
        }
        const auto actions = stop_.step();
        obey(actions, hooks);
        if (actions.finished || actions.over) return conclude(hooks, actions.over);
        poll_once();
        on_signal(hooks);
    }
}

/// Waits for a signal, an event of the stop channel, or the next time a decision is due.
void done_collector::poll_once() {
    pollfd descriptors[] = {{signals_.descriptor(), POLLIN, 0}, {stop_.event(), POLLIN, 0}};
    const auto next = stop_.next_step();
    timespec timeout = {};
    if (next != clock::time_point::max()) {
        const auto left = std::max(clock::duration::zero(), next - clock::now());
        timeout.tv_sec = duration_cast<std::chrono::seconds>(left).count();
        timeout.tv_nsec = (left % std::chrono::seconds(1)).count();
    }
    ::ppoll(descriptors, 2, next == clock::time_point::max() ? nullptr : &timeout, nullptr);
    std::uint64_t events;
    [[maybe_unused]] const auto drained = ::read(stop_.event(), &events, sizeof events);
}

void done_collector::on_signal(const hooks& hooks) {
    for (auto signal = signals_.next(); signal.what != signals::kind::none; signal = signals_.next()) {
        switch (signal.what) {
            case signals::kind::stop: stop_.signal(signal.name); break;
            case signals::kind::stacks: call("stacks", hooks.stacks); break;
            case signals::kind::reload: start_aside(signal.name, "reload", hooks.reload); break;
            case signals::kind::upgrade: start_aside(signal.name, "upgrade", hooks.upgrade); break;
            case signals::kind::none: break;
        }
    }
}

/// What reads files or waits for another process may hang: never on main's thread.
void done_collector::start_aside(const char* signal, const char* name, const std::function<void()>& hook) {
    if (stop_.stopping()) {
        log_.info("{} ignored: the service is stopping", signal);
    } else if (const char* const busy = under_way_) {
        log_.info("{} ignored: {} is under way", signal, busy);
    } else {
        under_way_ = name;
        auto work = [this, name, &hook](auto) {
            call(name, hook);
            under_way_ = nullptr;
        };
        try {
            aside_ = workers_.start(name, "worker", std::move(work));
        } catch (const std::exception& e) {  // no thread to be had: serving goes on
            log_.error("{}: {}", name, e.what());
            under_way_ = nullptr;
        }
    }
}

void done_collector::obey(const stop_sequence::actions& actions, const hooks& hooks) {
    const auto status = stop_.now();
    const bool stopping = status.phase >= stop_phase::lame_duck;
    if (stopping && status.began != announced_stop_) {  // or another one, if the last was withdrawn meanwhile
        announced_stop_ = status.began;
        stop_began_ = std::chrono::system_clock::now();
        signals_.arm_hard_stop(status.left + report_share);
        if (const auto why = report_.open(stop_.options().report); !why.empty()) log_.error("shutdown.report: {}", why);
        log_.info("stop begun by {}: budget {} ms, lame duck {} ms", status.cause, stop_.options().budget.count(),
                  stop_.options().lame_duck.count());
    }
    if (!stopping && announced_stop_ != clock::time_point{}) {
        announced_stop_ = {};
        signals_.arm_hard_stop({});
        log_.info("stop withdrawn: serving again");
    }
    if (status.forced && !announced_force_) {
        announced_force_ = true;
        signals_.arm_hard_stop(status.left + report_share);
        log_.warn("second signal: everything ends within a second");
        name_stragglers(hooks, "at the second signal");
    }
    if (status.phase != told_phase_ || status.phases.size() != told_records_) {  // may hang: the kernel's timer runs
        told_phase_ = status.phase;
        told_records_ = status.phases.size();
        call("progress", hooks.progress, status);
    }
    if (actions.warn && !actions.finished) name_stragglers(hooks, "at 80 % of the budget");
    for (const auto index : actions.stop) {
        auto& part = *parts_[index];
        {
            const std::scoped_lock lock(part.mutex);
            part.asked = true;
        }
        log_.info("stopping {}", part.name);
        part.thread.request_stop();
    }
}

void done_collector::name_stragglers(const hooks& hooks, const char* when) const {
    for (const auto& late : stragglers(hooks, true))
        log_.warn("still running {}: {} {} for {} ms{}{}", when, late.kind, late.name, late.age.count(),
                  late.where.empty() ? "" : " in ", late.where);
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

int done_collector::conclude(const hooks& hooks, bool over) {
    shutdown_report report;
    const auto until = clock::now() + std::min(stop_.now().left / 2, milliseconds(250));
    while (!over && under_way_ && clock::now() < until) std::this_thread::sleep_for(milliseconds(1));
    bool leave = over || under_way_;  // somebody hangs
    if (!leave) {
        for (auto& part : parts_)
            if (part->thread.joinable()) part->thread.join();
        if (aside_.joinable()) aside_.join();
        leave = workers_.live() > 0;  // a worker that its part has not waited for
    }
    if (leave) report.stragglers = stragglers(hooks, false);
    const auto status = stop_.now();
    report.cause = status.cause;
    report.started = stop_began_;
    report.phases = status.phases;
    report.duration = status.elapsed;
    call("account", hooks.account, report);
    report.workers_left += workers_.live();
    if (const int left = workers_.threads_left(milliseconds(leave ? 0 : 50)); left >= 0) report.threads_left = left;

    report.exit_code = exit_code::clean;
    for (const auto& part : parts_) {
        const std::scoped_lock lock(part->mutex);
        if (!part->failed && (!part->ended || part->asked)) continue;
        report.exit_code = std::max<int>(report.exit_code, part->before_ready ? could_not_start : part_failed);
    }
    if (stop_.failed())
        report.exit_code = std::max<int>(report.exit_code, stop_.failed_before_ready() ? could_not_start : part_failed);
    const bool cut = report.requests.cut > 0 || !report.stragglers.empty() || report.workers_left > 0 ||
                     report.threads_left.value_or(0) > 0 || report.events.lost;
    if (cut) report.exit_code = std::max<int>(report.exit_code, forced);
    if (!report.events.balanced) report.exit_code = std::max<int>(report.exit_code, unbalanced);

    call("ended", hooks.ended, report);
    const auto json = report.to_json();
    if (const auto why = report_.write(json); !why.empty()) log_.error("shutdown.report: {}", why);
    for (const auto& late : report.stragglers)
        log_.error("not home: {} {} after {} ms{}{}", late.kind, late.name, late.age.count(),
                   late.where.empty() ? "" : " in ", late.where);
    log_.info("shutdown report {}", json);
    log_.flush();
    if (leave) std::_Exit(report.exit_code);  // destroy nothing under a living thread
    return report.exit_code;
}

}  // namespace lifecycle
