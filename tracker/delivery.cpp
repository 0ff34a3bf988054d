#include "tracker/delivery.hpp"

#include <spdlog/logger.h>

#include <algorithm>
#include <cassert>
#include <exception>
#include <new>
#include <random>
#include <ranges>
#include <string>
#include <thread>
#include <utility>

#include "lifecycle/lines.hpp"

namespace tracker {
namespace {

using lifecycle::clock;
using std::chrono::milliseconds;

/// After the stop a pause looks at the flush deadline this often: a second signal moves it.
constexpr milliseconds look_again{20};

}  // namespace

delivery::delivery(const options& options, backlog& backlog, sink& sink, spdlog::logger& log,
                   deadline_function deadline, disk* other)
    : options_(options),
      letters_(options, other),
      backlog_(backlog),
      sink_(sink),
      log_(log),
      deadline_(std::move(deadline)) {}

bool delivery::given_up() const { return clock::now() >= deadline_(); }

delivery::course::course(const options& options)
    // A seed of its own: replicas that lost their sink at the same moment must not come back in step.
    : sieve(options.rejected_tries), backoff(options.retry_initial, options.retry_max, std::random_device{}()) {}

void delivery::work() {
    if (backlog_.over()) return;
    batch batch(options_);
    course course(options_);
    std::uint64_t given_up = 0;
    prepare(course);
    while (take(batch)) {
        auto end = deliver_in_spite_of_memory(batch, course);
        while (end == end::given_back && !give_back(batch)) end = deliver_in_spite_of_memory(batch, course);
        if (end == end::given_back) continue;
        if (end == end::given_up) given_up += batch.events.size();
        settle(batch, end == end::delivered ? outcome::delivered : outcome::given_up);
    }
    if (given_up == 0) return;
    // Without a spool they are lost, with one the next run has them.
    if (options_.durability == durability::memory)
        lifecycle::lines(log_).error(
            "tracker: {events} events could not be delivered before the flush deadline and are lost", given_up);
    else
        lifecycle::lines(log_).warn(
            "tracker: {events} events could not be delivered to {sink} before the flush deadline and stay in the spool",
            backlog_.queued(), sink_.name());
}

/// Until a stop: from then on the sink is tried with what waits.
void delivery::prepare(course& course) {
    for (;; pause_for(course.backoff.next(), false)) {
        {
            const std::scoped_lock lock(delivering_);
            try {
                sink_.prepare();
                note_success();
                break;
            } catch (const std::exception& failure) {
                note_failure(failure.what());
            } catch (...) {
                note_failure("an exception without a text");
            }
        }
        if (backlog_.closed() || given_up()) break;
    }
    course.backoff.reset();
}

/// Without memory nothing is lost: what waits goes on to wait.
bool delivery::take(batch& into) {
    for (;;) {
        try {
            return backlog_.take(into);
        } catch (const std::bad_alloc&) {
            std::this_thread::sleep_for(look_again);
        }
    }
}

delivery::end delivery::deliver_in_spite_of_memory(batch& batch, course& course) {
    while (!given_up()) {
        try {
            return batch.events.empty() ? end::delivered : deliver(batch, course);
        } catch (const std::bad_alloc&) {
            std::this_thread::sleep_for(look_again);
        }
    }
    return give_up();
}

/// False: there was no memory for it, and the batch has to be tried again as it is.
bool delivery::give_back(batch& taken) {
    try {
        backlog_.give_back(taken);
        return true;
    } catch (const std::bad_alloc&) {
        std::this_thread::sleep_for(look_again);
        return false;
    }
}

/// What only cleans up after a delivery is made good at the next one, or by the next run.
void delivery::settle(const batch& taken, outcome how) {
    try {
        backlog_.settle(taken, how);
    } catch (const std::bad_alloc&) {
        std::this_thread::sleep_for(look_again);
    }
}

delivery::end delivery::deliver(batch& batch, course& course) {
    course.sieve.begin(batch.events);
    course.in_stop = course.in_stop || backlog_.closed();
    std::size_t rejections = 0;
    while (!given_up()) {
        const auto part = course.sieve.next(batch.events);
        assert(part.count > 0 && part.first + part.count <= batch.events.size() && "a part of the batch");
        const auto answer = try_once(std::span<const event>(batch.events).subspan(part.first, part.count));
        auto step = sieve::step::pause;
        if (answer.what == result::delivered) {
            course.sieve.taken(part);
            course.backoff.reset();
            if (part.count == batch.events.size()) return end::delivered;
            backlog_.settle_part(batch, part.first, part.count);
            continue;
        }
        if (answer.what == result::rejected && ++rejections >= options_.rejected_tries) {
            // From the last to the first: to bury one moves those after it.
            for (const auto index : answer.rejected | std::views::reverse)
                if (!bury(batch, part.first + index, course)) return give_up();
            rejections = 0;
            step = sieve::step::bury;
        }
        if (answer.what == result::refused) {
            step = refused(answer, part, batch, course);
            if (step == sieve::step::bury && !bury(batch, 0, course)) return give_up();
        }
        if (step == sieve::step::bury) {
            course.sieve.buried();
            course.backoff.reset();
            if (batch.events.empty()) return end::delivered;
        }
        if (step != sieve::step::pause) continue;
        if (given_up()) break;
        pause(course);
        // With what has come meanwhile there may be something to compare it with.
        if (answer.what == result::refused) return end::given_back;
    }
    return give_up();
}

delivery::end delivery::give_up() {
    backlog_.close();  // in case that was not done yet: what would be accepted now would only be dropped
    return end::given_up;
}

delivery::answer delivery::try_once(std::span<const event> part) {
    const std::scoped_lock lock(delivering_);
    if (given_up()) return {};  // another worker was at the sink for long
    try {
        sink_.deliver(part);
        note_success();
        return {.what = result::delivered};
    } catch (const tracker::refused& failure) {
        return {.what = result::refused,
                .reason = failure.what(),
                .of_the_events = failure.what_of() == tracker::refused::about::the_events};
    } catch (const rejected_event& failure) {
        note_failure(failure.what());
        return {.what = result::rejected, .rejected = failure.indices()};
    } catch (const std::exception& failure) {
        note_failure(failure.what());
    } catch (...) {
        note_failure("an exception without a text");
    }
    return {};
}

/// Of the sink nothing is said until it is known that the fault is not an event's.
sieve::step delivery::refused(const answer& answer, const sieve::part& part, const batch& batch, course& course) {
    const auto step = course.sieve.refused(part, batch.events, answer.of_the_events, clock::now());
    if (step != sieve::step::pause) return step;
    const std::scoped_lock lock(delivering_);
    note_failure(part.first > 0 ? answer.reason + ", to different events in a row" : answer.reason);
    return step;
}

/// To a file beside the events, for a human: a line like those of the file sink. What cannot be written
/// there goes to the log, so that it is not lost without a trace. False: it is left to the next run.
bool delivery::bury(batch& batch, std::size_t rejected, course& course) {
    assert(rejected < batch.events.size());
    if (!write_letter(batch.events[rejected], course)) return false;
    backlog_.bury(batch, rejected);
    return true;
}

/// A disk that may work again in a moment is waited for, until the flush deadline. False: in vain, and the event stays
/// in the spool.
bool delivery::write_letter(const event& letter, course& course) {
    std::string line;
    append_json(line, letter);
    line += '\n';
    auto outcome = letters_.append(line);
    note_letter(outcome);
    while (outcome.may_work_again && !given_up()) {
        pause_for(course.backoff.next(), course.in_stop);
        note_stop(course);
        outcome = letters_.append(line);
        note_letter(outcome);
    }
    if (outcome.written) {
        lifecycle::lines(log_).error("tracker: event {event} is never taken by sink {sink} and is now in {path}",
                                     letter.id, sink_.name(), letters_.path().string());
        return true;
    }
    if (outcome.may_work_again && options_.durability != durability::memory) return false;
    line.pop_back();
    lifecycle::lines(log_).error("tracker: dead letter: {event}", line);
    return true;
}

void delivery::note_letter(const dead_letters::outcome& outcome) {
    const std::scoped_lock lock(delivering_);
    if (outcome.may_work_again) {
        if (const auto times = failing_letters_.failed(clock::now()); times > 0)
            lifecycle::lines(log_).error(
                "tracker: a dead letter of sink {sink} cannot be written (failed attempts: {failures}); nothing is "
                "given up, and it is tried again; look at the disk and its mount: {error}",
                sink_.name(), times, outcome.why);
    } else if (failing_letters_.failing()) {
        const auto row = failing_letters_.succeeded();
        lifecycle::lines(log_).info(
            "tracker: dead letters of sink {sink} can be written again after {failures} failures", sink_.name(),
            row.failures);
    }
}

void delivery::pause(course& course) {
    course.sieve.paused();
    pause_for(course.backoff.next(), course.in_stop);
    note_stop(course);
}

/// A stop cuts a pause short: from here there is little time, so the next tries come soon.
void delivery::note_stop(course& course) {
    if (course.in_stop || !backlog_.closed()) return;
    course.in_stop = true;
    course.backoff.reset();
}

void delivery::pause_for(milliseconds length, bool in_stop) {
    const auto until = clock::now() + length;
    if (!in_stop) return backlog_.pause_while_open(until);
    for (auto now = clock::now(); now < until && now < deadline_(); now = clock::now())
        std::this_thread::sleep_until(std::min({until, now + look_again, deadline_()}));
}

void delivery::note_failure(std::string_view reason) {
    const auto times = failing_.failed(clock::now());
    if (times == 0) return;
    lifecycle::lines(log_).warn(
        "tracker: sink {sink} fails (failed attempts: {failures}, events waiting: {waiting}): {error}", sink_.name(),
        times, backlog_.queued(), reason);
}

void delivery::note_success() {
    if (!failing_.failing()) return;
    const auto& row = failing_.so_far();
    const auto lasted = std::chrono::duration_cast<milliseconds>(clock::now() - row.since);
    lifecycle::lines(log_).info("tracker: sink {sink} delivers again after {failures} failures in {lasted_ms} ms",
                                sink_.name(), row.failures, lasted.count());
    failing_.succeeded();
}

}  // namespace tracker
