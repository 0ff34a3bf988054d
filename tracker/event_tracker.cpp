#include "tracker/event_tracker.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "tracker/delivery.hpp"
#include "tracker/queue.hpp"
#include "tracker/spool.hpp"

namespace tracker {

namespace {

/// How often a spool that cannot be written is tried while nobody records: a service that is not ready
/// gets no events to try it with.
constexpr std::chrono::seconds between_probes{1};

/// A worker that finds no memory has lost nothing: it begins again after a moment.
template <class F>
void in_spite_of_memory(const F& work) {
    for (;;) {
        try {
            return work();
        } catch (const std::bad_alloc&) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    }
}

options for_queue(options options) {
    if (options.durability == durability::memory) return options;
    options.batch_age = {};                                                        // each event has someone who waits
    options.batch_bytes = std::min(options.batch_bytes, options.spool_bytes / 4);  // or it would never fit
    return options;
}

}  // namespace

struct event_tracker::state {
    state(const tracker::options& settings, tracker::sinks to, lifecycle::workers& threads, spdlog::logger& log,
          deadline_function until)
        : options(settings),
          sinks(std::move(to)),
          workers(threads),
          deadline(std::move(until)),
          durable(options.durability != durability::memory),
          queue(for_queue(options), durable ? queue::promise::answered : queue::promise::queued),
          spool(durable ? std::make_unique<tracker::spool>(options, log) : nullptr) {
        assert(sinks.size() == options.sinks.size() && (durable || sinks.size() == 1));
        for (std::size_t i = 0; i < sinks.size(); ++i)
            deliveries.emplace_back(options, durable ? spool->of_sink(i) : queue, *sinks[i], log, deadline);
    }

    verdict answer(verdict verdict) noexcept {
        if (verdict != verdict::accepted) refused.fetch_add(1, std::memory_order_relaxed);
        return verdict;
    }

    /// The life of the one thread that appends to the spool.
    void append_all() {
        batch batch(options);
        const auto patience = [this] {
            return spool->writable() ? lifecycle::clock::time_point::max() : lifecycle::clock::now() + between_probes;
        };
        while (queue.take_until(batch, patience())) {
            if (batch.events.empty()) {
                spool->probe();
                continue;
            }
            const auto answer = spool->append(batch.events);
            const auto unattended = queue.answer(batch, answer);
            if (answer != verdict::accepted) spool->lose(unattended, answer);
        }
    }

    /// Of a queue that is closed, when the thread that should has not done so.
    void append_what_is_left() noexcept {
        try {
            in_spite_of_memory([this] { append_all(); });
        } catch (...) {}  // it has said so
    }

    const tracker::options options;
    const tracker::sinks sinks;
    lifecycle::workers& workers;
    const deadline_function deadline;
    const bool durable;
    std::atomic<bool> ended{false};
    std::atomic<std::uint64_t> refused{0};
    tracker::queue queue;
    std::unique_ptr<tracker::spool> spool;
    std::deque<tracker::delivery> deliveries;  ///< one a sink
};

event_tracker::event_tracker(const options& options, sinks sinks, lifecycle::workers& workers, spdlog::logger& log,
                             deadline_function flush_deadline)
    : state_(std::make_unique<state>(options, std::move(sinks), workers, log, std::move(flush_deadline))) {}

event_tracker::~event_tracker() = default;

verdict event_tracker::try_record(event event) {
    if (event.id.empty()) event.id = make_id();
    if (!writable()) return state_->answer(verdict::unwritable);
    return state_->answer(state_->queue.try_push(event));
}

lifecycle::awaitable<verdict> event_tracker::record(lifecycle::context context, event event,
                                                    std::source_location where) {
    auto& self = *state_;
    if (context.done()) co_return self.answer(verdict::deadline);
    if (event.id.empty()) event.id = make_id();
    if (!self.durable) {
        const auto at_once = self.queue.try_push(event);
        if (at_once != verdict::full) co_return self.answer(at_once);
    }
    auto answer = self.queue.push(std::move(context), std::move(event), where);
    const auto later = co_await std::move(answer);
    co_return self.answer(later);
}

void event_tracker::run(std::stop_token stop) {
    auto& self = *state_;
    std::jthread appending;
    std::vector<std::jthread> delivering;  // joined before anything else goes
    const auto finish = [&] {
        self.queue.close();
        if (self.durable) {
            if (appending.joinable()) appending.join();
            self.append_what_is_left();
            self.spool->close();
        }
        delivering.clear();
        for (const auto& sink : self.sinks) sink->finish();
        self.ended = true;
    };
    const auto start = [&self](const std::string& name, auto work) {
        return self.workers.start(name, "worker", [&self, work](std::stop_token) {
            try {
                in_spite_of_memory(work);
            } catch (...) {  // the service stops: see lifecycle::workers
                self.queue.close();
                throw;
            }
        });
    };
    const auto each = self.durable ? 1 : std::max<std::size_t>(self.options.workers, 1);
    try {
        if (self.durable) appending = start("tracker-spool", [&self] { self.append_all(); });
        for (auto& one : self.deliveries)
            for (std::size_t i = 1; i <= each; ++i) {
                const auto number = each > 1 ? fmt::format("-{}", i) : std::string();
                delivering.push_back(start(fmt::format("tracker-{}{}", one.name(), number), [&one] { one.work(); }));
            }
    } catch (...) {
        // What has been accepted is delivered all the same, on this thread where there is no other.
        const auto served = delivering.size() / each;
        self.queue.close();
        if (self.durable && !appending.joinable()) self.append_what_is_left();
        if (self.durable) self.spool->close();
        for (std::size_t i = served; i < self.deliveries.size(); ++i) self.deliveries[i].work();
        finish();
        throw;
    }

    // Not in a stop_callback: it runs on the stopper's thread, and closing wakes coroutines.
    std::mutex mutex;
    std::condition_variable_any asked;
    std::unique_lock lock(mutex);
    asked.wait(lock, stop, [] { return false; });
    finish();
}

account event_tracker::account() const {
    auto& self = *state_;
    auto account = self.durable ? self.spool->account() : self.queue.account();
    account.refused = self.refused.load(std::memory_order_relaxed);
    // Nothing is tried after the flush deadline, and a worker that a sink still holds at that time
    // cannot say so: what is left then is lost, unless that sink comes back before the process ends.
    // In a spool it is not lost, but the next run's.
    if (account.queued > 0 && (self.ended || lifecycle::clock::now() >= self.deadline())) {
        auto& column = self.durable ? account.spooled : account.dropped["deadline"];
        column += std::exchange(account.queued, 0);
    }
    return account;
}

std::size_t event_tracker::depth() const { return state_->queue.depth(); }

std::size_t event_tracker::waiting() const { return state_->queue.waiting(); }

bool event_tracker::healthy() const {
    return std::ranges::all_of(state_->deliveries, [](const auto& one) { return one.healthy(); });
}

void event_tracker::apply(const options& fresh) {
    state_->queue.apply(fresh);
    if (state_->durable) state_->spool->apply(fresh);
}

void event_tracker::reopen() {
    for (const auto& sink : state_->sinks) sink->reopen();
}

std::vector<event_tracker::sink_state> event_tracker::sink_states() const {
    std::vector<sink_state> all;
    for (const auto& one : state_->deliveries) all.push_back({std::string(one.name()), one.healthy(), one.waiting()});
    return all;
}

bool event_tracker::writable() const { return !state_->durable || state_->spool->writable(); }

}  // namespace tracker
