#include "tracker/event_tracker.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <utility>
#include <vector>

#include "tracker/delivery.hpp"
#include "tracker/queue.hpp"

namespace tracker {

struct event_tracker::state {
    state(const tracker::options& settings, sink& sink, lifecycle::workers& threads, spdlog::logger& log,
          deadline_function until)
        : options(settings),
          workers(threads),
          deadline(std::move(until)),
          queue(options),
          delivery(options, queue, sink, log, deadline) {}

    verdict answer(verdict verdict) noexcept {
        if (verdict != verdict::accepted) refused.fetch_add(1, std::memory_order_relaxed);
        return verdict;
    }

    const tracker::options options;
    lifecycle::workers& workers;
    const deadline_function deadline;
    std::atomic<std::uint64_t> refused{0};
    tracker::queue queue;
    tracker::delivery delivery;
};

event_tracker::event_tracker(const options& options, sink& sink, lifecycle::workers& workers, spdlog::logger& log,
                             std::function<lifecycle::clock::time_point()> flush_deadline)
    : state_(std::make_unique<state>(options, sink, workers, log, std::move(flush_deadline))) {
    // A weaker promise than the one asked for would be found out after the loss.
    if (options.durability != durability::memory)
        throw std::runtime_error("tracker.durability: only 'memory' can be kept so far");
}

event_tracker::~event_tracker() = default;

verdict event_tracker::try_record(event event) {
    if (event.id.empty()) event.id = make_id();
    return state_->answer(state_->queue.try_push(event));
}

lifecycle::awaitable<verdict> event_tracker::record(lifecycle::context context, event event,
                                                    std::source_location where) {
    auto& self = *state_;
    if (context.done()) co_return self.answer(verdict::deadline);
    if (event.id.empty()) event.id = make_id();
    const auto at_once = self.queue.try_push(event);
    if (at_once != verdict::full || self.options.overflow != overflow::block) co_return self.answer(at_once);

    auto room = self.queue.push(std::move(context), std::move(event), where);
    const auto later = co_await std::move(room);
    co_return self.answer(later);
}

void event_tracker::run(std::stop_token stop) {
    auto& self = *state_;
    std::vector<std::jthread> threads;  // joined before anything else goes
    try {
        for (std::size_t i = 1; i <= std::max<std::size_t>(self.options.workers, 1); ++i) {
            threads.push_back(self.workers.start(fmt::format("tracker-{}", i), "worker",
                                                 [&self](std::stop_token) { self.delivery.work(); }));
        }
    } catch (...) {
        // What has been accepted is delivered all the same, on this thread if there is no other.
        self.queue.close();
        self.delivery.work();
        throw;
    }

    // Not in a stop_callback: it runs on the stopper's thread, and closing wakes coroutines.
    std::mutex mutex;
    std::condition_variable_any asked;
    std::unique_lock lock(mutex);
    asked.wait(lock, stop, [] { return false; });

    self.queue.close();
    threads.clear();
}

account event_tracker::account() const {
    auto account = state_->queue.account();
    account.refused = state_->refused.load(std::memory_order_relaxed);
    // Nothing is tried after the flush deadline, and a worker that a sink still holds at that time
    // cannot say so: what is left then is lost, unless that sink comes back before the process ends.
    if (account.queued > 0 && lifecycle::clock::now() >= state_->deadline())
        account.dropped["deadline"] += std::exchange(account.queued, 0);
    return account;
}

std::size_t event_tracker::depth() const { return state_->queue.depth(); }

std::size_t event_tracker::waiting() const { return state_->queue.waiting(); }

bool event_tracker::healthy() const { return state_->delivery.healthy(); }

}  // namespace tracker
