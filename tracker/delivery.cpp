#include "tracker/delivery.hpp"

#include <spdlog/logger.h>

#include <algorithm>
#include <exception>
#include <random>
#include <thread>
#include <utility>

#include "tracker/backoff.hpp"

namespace tracker {
namespace {

using lifecycle::clock;
using std::chrono::milliseconds;

/// A log that says the same thing at every try hides everything else.
constexpr std::chrono::seconds between_lines{5};

/// After the stop a pause looks at the flush deadline this often: a second signal moves it.
constexpr milliseconds look_again{20};

}  // namespace

delivery::delivery(const options& options, queue& queue, sink& sink, spdlog::logger& log, deadline_function deadline)
    : options_(options), queue_(queue), sink_(sink), log_(log), deadline_(std::move(deadline)) {}

bool delivery::given_up() const { return clock::now() >= deadline_(); }

void delivery::work() {
    queue::batch batch(options_);
    std::uint64_t dropped = 0;
    while (queue_.take(batch)) {
        const bool delivered = deliver(batch);
        queue_.settle(batch, delivered ? queue::outcome::delivered : queue::outcome::dropped_at_deadline);
        if (!delivered) dropped += batch.events.size();
    }
    if (dropped > 0)
        log_.error("tracker: {} events could not be delivered before the flush deadline and are lost", dropped);
}

bool delivery::deliver(const queue::batch& batch) {
    backoff backoff(options_.retry_initial, options_.retry_max, std::random_device{}());
    bool in_stop = queue_.closed();
    while (!given_up()) {
        if (try_once(batch)) return true;
        if (given_up()) break;
        pause(backoff.next(), in_stop);
        // The stop has cut the pause short: from here there is little time, so the next tries come soon.
        if (!in_stop && queue_.closed()) {
            in_stop = true;
            backoff.reset();
        }
    }
    queue_.close();  // in case nobody has asked yet: what would be accepted now would only be dropped
    return false;
}

bool delivery::try_once(const queue::batch& batch) {
    const std::scoped_lock lock(delivering_);
    if (given_up()) return false;  // another worker was at the sink for long
    try {
        sink_.deliver(batch.events);
        note_success();
        return true;
    } catch (const std::exception& failure) {
        note_failure(failure.what());
    } catch (...) {
        note_failure("an exception without a text");
    }
    return false;
}

void delivery::pause(milliseconds length, bool in_stop) {
    const auto until = clock::now() + length;
    if (!in_stop) return queue_.pause_while_open(until);
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
    log_.warn("tracker: sink {} fails ({} times now), {} events wait: {}", sink_.name(), failures_,
              queue_.account().queued, reason);
}

void delivery::note_success() {
    if (failures_ == 0) return;
    const auto lasted = std::chrono::duration_cast<milliseconds>(clock::now() - failing_since_);
    log_.info("tracker: sink {} delivers again after {} failures in {} ms", sink_.name(), failures_, lasted.count());
    failures_ = 0;
    healthy_.store(true, std::memory_order_relaxed);
}

}  // namespace tracker
