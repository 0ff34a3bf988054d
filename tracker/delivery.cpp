#include "tracker/delivery.hpp"

#include <fcntl.h>
#include <spdlog/logger.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "tracker/backoff.hpp"
#include "tracker/descriptor.hpp"

namespace tracker {
namespace {

using lifecycle::clock;
using std::chrono::milliseconds;

/// Appends a line, whole or not at all; `durable`: not only to the page cache.
bool append_line(const std::filesystem::path& path, std::string_view line, bool durable) {
    const descriptor file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
    if (!file || ::flock(file.get(), LOCK_EX) != 0) return false;  // another process may do the same
    const auto before = ::lseek(file.get(), 0, SEEK_END);
    const bool written = ::write(file.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size());
    if (written && (!durable || ::fsync(file.get()) == 0)) return true;
    [[maybe_unused]] const int cut = ::ftruncate(file.get(), before);
    return false;
}

/// A log that says the same thing at every try hides everything else.
constexpr std::chrono::seconds between_lines{5};

/// After the stop a pause looks at the flush deadline this often: a second signal moves it.
constexpr milliseconds look_again{20};

}  // namespace

delivery::delivery(const options& options, backlog& backlog, sink& sink, spdlog::logger& log,
                   deadline_function deadline)
    : options_(options), backlog_(backlog), sink_(sink), log_(log), deadline_(std::move(deadline)) {}

bool delivery::given_up() const { return clock::now() >= deadline_(); }

void delivery::work() {
    batch batch(options_);
    std::uint64_t given_up = 0;
    while (take(batch)) {
        const bool delivered = deliver_in_spite_of_memory(batch);
        if (!delivered) given_up += batch.events.size();
        settle(batch, delivered ? outcome::delivered : outcome::given_up);
    }
    if (given_up == 0) return;
    if (options_.durability == durability::memory)
        log_.error("tracker: {} events could not be delivered before the flush deadline and are lost", given_up);
    else
        log_.warn("tracker: {} events could not be delivered to {} before the flush deadline and stay in the spool",
                  backlog_.queued(), sink_.name());
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

bool delivery::deliver_in_spite_of_memory(batch& batch) {
    while (!given_up()) {
        try {
            return batch.events.empty() || deliver(batch);
        } catch (const std::bad_alloc&) {
            std::this_thread::sleep_for(look_again);
        }
    }
    backlog_.close();
    return false;
}

/// What only cleans up after a delivery is made good at the next one, or by the next run.
void delivery::settle(const batch& taken, outcome how) {
    try {
        backlog_.settle(taken, how);
    } catch (const std::bad_alloc&) {
        std::this_thread::sleep_for(look_again);
    }
}

bool delivery::deliver(batch& batch) {
    backoff backoff(options_.retry_initial, options_.retry_max, std::random_device{}());
    bool in_stop = backlog_.closed();
    std::size_t rejections = 0;
    std::size_t rejected = 0;
    while (!given_up()) {
        const auto result = try_once(batch, rejected);
        if (result == result::delivered) return true;
        if (result == result::rejected && ++rejections >= options_.rejected_tries) {
            bury(batch, rejected);
            rejections = 0;
            if (batch.events.empty()) return true;
            continue;
        }
        if (given_up()) break;
        pause(backoff.next(), in_stop);
        // The stop has cut the pause short: from here there is little time, so the next tries come soon.
        if (!in_stop && backlog_.closed()) {
            in_stop = true;
            backoff.reset();
        }
    }
    backlog_.close();  // in case nobody has asked yet: what would be accepted now would only be dropped
    return false;
}

delivery::result delivery::try_once(const batch& batch, std::size_t& rejected) {
    const std::scoped_lock lock(delivering_);
    if (given_up()) return result::failed;  // another worker was at the sink for long
    try {
        sink_.deliver(batch.events);
        note_success();
        return result::delivered;
    } catch (const rejected_event& failure) {
        note_failure(failure.what());
        rejected = std::min(failure.index(), batch.events.size() - 1);
        return result::rejected;
    } catch (const std::exception& failure) {
        note_failure(failure.what());
    } catch (...) {
        note_failure("an exception without a text");
    }
    return result::failed;
}

/// To a file beside the events, for a human: a line like those of the file sink. What cannot be written
/// there goes to the log, so that it is not lost without a trace.
void delivery::bury(batch& batch, std::size_t rejected) {
    std::string line;
    append_json(line, batch.events[rejected]);
    const auto path = std::filesystem::path(options_.directory) / "dead-letter.jsonl";
    if (append_line(path, line + '\n', options_.durability == durability::disk))
        log_.error("tracker: event {} is never taken by sink {} and is now in {}", batch.events[rejected].id,
                   sink_.name(), path.string());
    else
        log_.error("tracker: dead letter: {}", line);
    backlog_.bury(batch, rejected);
}

void delivery::pause(milliseconds length, bool in_stop) {
    const auto until = clock::now() + length;
    if (!in_stop) return backlog_.pause_while_open(until);
    for (auto now = clock::now(); now < until && now < deadline_(); now = clock::now())
        std::this_thread::sleep_until(std::min({until, now + look_again, deadline_()}));
}

void delivery::note_failure(std::string_view reason) {
    const auto now = clock::now();
    if (failures_++ == 0) {
        failing_since_ = now;
        healthy_.store(false, std::memory_order_relaxed);
    } else if (now < last_line_ + between_lines) {
        return;
    }
    last_line_ = now;
    log_.warn("tracker: sink {} fails ({} times now), {} events wait: {}", sink_.name(), failures_, backlog_.queued(),
              reason);
}

void delivery::note_success() {
    if (failures_ == 0) return;
    const auto lasted = std::chrono::duration_cast<milliseconds>(clock::now() - failing_since_);
    log_.info("tracker: sink {} delivers again after {} failures in {} ms", sink_.name(), failures_, lasted.count());
    failures_ = 0;
    healthy_.store(true, std::memory_order_relaxed);
}

}  // namespace tracker
