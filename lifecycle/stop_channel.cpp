#include "lifecycle/stop_channel.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <system_error>

#include "lifecycle/misuse.hpp"

namespace lifecycle {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

namespace {

/// In a stop main wakes at least so often, and loops that drain do all the more.
constexpr milliseconds pulse{100};
/// If no thread has for this long, the process was frozen, or the machine had no time for any of its threads.
constexpr milliseconds no_pulse{500};

}  // namespace

stop_channel::stop_channel(const shutdown_options& options)
    : options_(options), event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), sequence_(options) {
    if (event_ < 0) throw std::system_error(errno, std::system_category(), "eventfd");
}

stop_channel::~stop_channel() { ::close(event_); }

void stop_channel::wake() const noexcept {
    const std::uint64_t increment = 1;
    [[maybe_unused]] const auto written = ::write(event_, &increment, sizeof increment);
}

/// Makes the phase visible to readers without a lock. With the lock held.
void stop_channel::show(stop_phase phase) noexcept {
    // The number before the phase: a reader that sees the stop must not take it for the one before.
    const bool stops = phase >= stop_phase::lame_duck;
    if (stops && !stopping()) ++stops_;
    nth_stop_.store(stops ? stops_ : 0, std::memory_order_release);
    phase_.store(phase, std::memory_order_release);
}

/// With the lock held; main wakes up.
void stop_channel::publish() {
    if (sequence_.phase() == stop_phase::serving) has_been_ready_.store(true, std::memory_order_release);
    show(sequence_.phase());
    wake();
}

part stop_channel::add_part(std::string name, share own, readiness when) {
    std::unique_lock lock(mutex_);
    const auto& kept = names_.emplace_back(std::move(name));
    if (!complete_) return {*this, sequence_.add_part(kept, own, when), kept, own.serves()};
    // `fail` takes the mutex.
    lock.unlock();
    misuse("a part is added after the parts run");
    misused(kept);
    return {*this, no_part, kept, own.serves()};
}

void stop_channel::misused(const std::string& name) {
    if (!failed_.exchange(true)) failed_before_ready_ = true;
    fail(name);
}

std::vector<std::string> stop_channel::close() {
    const std::scoped_lock lock(mutex_);
    complete_ = true;
    return {names_.begin(), names_.end()};
}

void stop_channel::complete() {
    const std::scoped_lock lock(mutex_);
    complete_ = true;
    sequence_.complete(clock::now());
    publish();
}

void stop_channel::up(std::size_t part) {
    if (part == no_part) return;
    const std::scoped_lock lock(mutex_);
    sequence_.up(part);
    publish();
}

void stop_channel::alive() {
    const std::scoped_lock lock(mutex_);
    last_sign_of_life_ = clock::now();
}

/// With the lock held. The first thread to look after a freeze moves the deadlines before it reads one: otherwise a
/// loop that wakes before main would give up.
void stop_channel::notice_freeze(clock::time_point now) const {
    if (!sequence_.stopping()) return;
    const auto from = std::max(last_sign_of_life_, sequence_.began());
    if (now - from >= no_pulse) sequence_.frozen(duration_cast<milliseconds>(now - from) - pulse, now);
    last_sign_of_life_ = std::max(from, now);
}

void stop_channel::request(std::string cause, std::optional<std::chrono::milliseconds> within) {
    const std::scoped_lock lock(mutex_);
    const auto now = clock::now();
    sequence_.begin(std::move(cause), now);
    if (within) sequence_.shorten(*within, now);
    publish();
}

void stop_channel::signal(std::string cause) {
    const std::scoped_lock lock(mutex_);
    sequence_.signal(std::move(cause), clock::now());
    publish();
}

void stop_channel::fail(const std::string& name) {
    // Liveness first, and without the mutex: what follows may find no memory, and is then called again.
    if (!failed_.exchange(true)) failed_before_ready_ = !has_been_ready();
    const std::scoped_lock lock(mutex_);
    if (!stopping()) show(stop_phase::lame_duck);  // there may be no memory for more
    sequence_.fail("part:" + name, clock::now());
    publish();
}

bool stop_channel::withdraw() {
    const std::scoped_lock lock(mutex_);
    const bool left = sequence_.withdraw();
    publish();
    return left;
}

void stop_channel::part_ended(std::size_t part) {
    const std::scoped_lock lock(mutex_);
    const bool ready = has_been_ready();
    assert(part < names_.size());
    const bool unasked = sequence_.part_ended(part, clock::now());
    // The first failure decides between the exit codes 1 and 2; what ends in its wake does not.
    if (unasked && !failed_.exchange(true)) failed_before_ready_ = !ready;
    publish();
}

const stop_sequence::events& stop_channel::step() {
    auto slowest = std::uint64_t(clock::now().time_since_epoch().count());  // without loops time alone counts
    if (!turns_.empty()) slowest = turns_.front()();
    // Without the mutex: these are functions of others.
    for (const auto& turns : turns_) slowest = std::min(slowest, turns());
    const std::scoped_lock lock(mutex_);
    const auto now = clock::now();
    // Before the decisions: a deadline that passed during a freeze has not passed.
    notice_freeze(now);
    const auto& events = sequence_.step(now, slowest);
    show(sequence_.phase());
    return events;
}

clock::time_point stop_channel::next_step() const {
    const std::scoped_lock lock(mutex_);
    const auto now = clock::now();
    const auto next = sequence_.next_step(now);
    // In a stop main wakes for its pulse too, by which a freeze is noticed.
    return next == clock::time_point::max() ? next : std::min(next, now + pulse);
}

stop_channel::status stop_channel::now() const {
    const auto time = clock::now();
    const std::scoped_lock lock(mutex_);
    notice_freeze(time);
    const bool stopping = sequence_.stopping();
    const auto left = stopping ? duration_cast<milliseconds>(sequence_.end() - time) : options_.budget;
    const auto passed = stopping ? duration_cast<milliseconds>(time - sequence_.began()) : milliseconds{0};
    const auto frozen = stopping ? sequence_.frozen() : milliseconds{0};
    return {.phase = sequence_.phase(),
            .cause = sequence_.cause(),
            .forced = sequence_.forced(),
            .began = sequence_.began(),
            .left = std::max(left, milliseconds{0}),
            // Lived, as the report has it.
            .elapsed = std::max(passed - frozen, milliseconds{0}),
            .frozen = frozen,
            .phases = sequence_.phases(time),
            .running = sequence_.running()};
}

clock::time_point stop_channel::deadline(std::size_t part) const {
    if (part == no_part) return clock::time_point::max();
    const std::scoped_lock lock(mutex_);
    notice_freeze(clock::now());
    return sequence_.deadline(part);
}

clock::time_point part::deadline() const { return stop_->deadline(index_); }

void part::up() const { stop_->up(index_); }

void part::count_turns_with(std::function<std::uint64_t()> turns) const {
    if (index_ != stop_channel::no_part) stop_->turns_.push_back(std::move(turns));
}

}  // namespace lifecycle
