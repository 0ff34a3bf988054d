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
#include "tracker/earlier_runs.hpp"
#include "tracker/intake.hpp"
#include "tracker/memory_backlog.hpp"
#include "tracker/spool/spool.hpp"

namespace tracker {

namespace {

/// How often a spool that cannot be written is tried while no event comes: a service that is not ready gets no events
/// to try it with.
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

options for_intake(options options) {
    if (options.durability == durability::memory) return options;
    options.batch_age = {};                                                        // something waits for each event
    options.batch_bytes = std::min(options.batch_bytes, options.spool_bytes / 4);  // or it would never fit
    return options;
}

/// A sink that two kinds of workers deliver to: those of the queue, and the one that brings what earlier runs have
/// left.
class one_at_a_time final : public sink {
public:
    explicit one_at_a_time(std::shared_ptr<sink> inner) : inner_(std::move(inner)) {}
    void deliver(std::span<const event> batch) override {
        const std::scoped_lock lock(delivering_);
        inner_->deliver(batch);
    }
    void sync() override { inner_->sync(); }
    void finish() noexcept override { inner_->finish(); }
    void reopen() override { inner_->reopen(); }
    void apply(const tracker::options& fresh) override { inner_->apply(fresh); }
    std::string_view name() const noexcept override { return inner_->name(); }
    std::uint32_t copies() const noexcept override { return inner_->copies(); }
    void prepare() override {
        const std::scoped_lock lock(delivering_);
        inner_->prepare();
    }
    bool readable() const noexcept override { return inner_->readable(); }
    std::map<std::string_view, std::uint64_t> disk_errors() const override { return inner_->disk_errors(); }

private:
    const std::shared_ptr<sink> inner_;
    std::mutex delivering_;
};

sinks shared_by_workers(sinks all, bool durable) {
    if (!durable)
        for (auto& sink : all) sink = std::make_shared<one_at_a_time>(std::move(sink));
    return all;
}

}  // namespace

struct event_tracker::state {
    struct crew;

    state(const tracker::options& settings, tracker::sinks to, lifecycle::workers& threads, spdlog::logger& log,
          deadline_function until)
        : options(settings),
          durable(options.durability != durability::memory),
          sinks(shared_by_workers(std::move(to), durable)),
          workers(threads),
          deadline(std::move(until)),
          intake(for_intake(options), durable ? intake::promise::answered : intake::promise::queued),
          memory(durable ? nullptr : std::make_unique<memory_backlog>(options, intake)),
          spool(durable ? std::make_unique<tracker::spool>(options, log) : nullptr),
          earlier(options, *sinks.front(), log, deadline) {
        assert(sinks.size() == options.sinks.size() && (durable || sinks.size() == 1));
        for (std::size_t i = 0; i < sinks.size(); ++i)
            deliveries.emplace_back(options, durable ? spool->of_sink(i) : *memory, *sinks[i], log, deadline);
        if (durable)
            spool->before_removal([this] {
                for (const auto& sink : sinks) sink->sync();
            });
    }

    verdict answer(verdict verdict) noexcept {
        if (verdict != verdict::accepted) refused.fetch_add(1, std::memory_order_relaxed);
        return verdict;
    }

    /// The life of the one thread that appends to the spool.
    void append_all() {
        if (intake.over()) return;
        batch batch(options);
        const auto patience = [this] {
            return spool->writable() ? lifecycle::clock::time_point::max() : lifecycle::clock::now() + between_probes;
        };
        while (intake.take_until(batch, patience())) {
            if (batch.events.empty()) {
                spool->probe();
                continue;
            }
            const auto answer = spool->append(batch.events);
            const auto unattended = intake.answer(batch, answer);
            assert(unattended <= batch.events.size());
            if (answer != verdict::accepted) spool->lose(unattended, answer);
        }
    }

    /// Of an intake that is closed, when the thread that should has not done so.
    void append_what_is_left() noexcept {
        try {
            in_spite_of_memory([this] { append_all(); });
        } catch (...) {}  // it has said so
    }

    const tracker::options options;
    const bool durable;
    const tracker::sinks sinks;
    lifecycle::workers& workers;
    const deadline_function deadline;
    std::atomic<bool> ended{false};
    std::atomic<std::uint64_t> refused{0};
    tracker::intake intake;
    std::unique_ptr<memory_backlog> memory;  ///< without a spool
    std::unique_ptr<tracker::spool> spool;   ///< with durability process and disk
    earlier_runs earlier;
    std::deque<tracker::delivery> deliveries;  ///< one a sink
};

event_tracker::event_tracker(const options& options, sinks sinks, lifecycle::workers& workers, spdlog::logger& log,
                             deadline_function flush_deadline)
    : state_(std::make_unique<state>(options, std::move(sinks), workers, log, std::move(flush_deadline))) {}

event_tracker::~event_tracker() = default;

verdict event_tracker::try_record(event event) {
    if (event.id.empty()) event.id = make_id();
    if (!writable()) return state_->answer(verdict::unwritable);
    return state_->answer(state_->intake.try_push(event));
}

lifecycle::awaitable<verdict> event_tracker::record(lifecycle::context context, event event,
                                                    std::source_location where) {
    auto& self = *state_;
    if (context.done()) co_return self.answer(verdict::deadline);
    if (event.id.empty()) event.id = make_id();
    if (!self.durable) {
        // The usual case, without a waiter and so without an allocation.
        const auto at_once = self.intake.try_push(event);
        if (at_once != verdict::full) co_return self.answer(at_once);
    }
    auto answer = self.intake.push(std::move(context), std::move(event), where);
    const auto later = co_await std::move(answer);
    co_return self.answer(later);
}

/// The threads of a run. Joined before anything else goes.
struct event_tracker::state::crew {
    explicit crew(state& of) : self(of), each(of.durable ? 1 : std::max<std::size_t>(of.options.workers, 1)) {}

    void start();
    void finish();
    void do_without_those_missing();

    state& self;
    const std::size_t each;  ///< workers of a delivery
    std::jthread appending, looking;
    std::vector<std::jthread> delivering;

private:
    template <class Work>
    auto start_worker(const std::string& name, Work work) {
        return self.workers.start(name, "worker", [&of = self, work](std::stop_token) {
            try {
                in_spite_of_memory(work);
            } catch (...) {  // the service stops: see lifecycle::workers
                of.intake.close();
                throw;
            }
        });
    }
};

void event_tracker::state::crew::start() {
    if (self.durable) appending = start_worker("tracker-spool", [&of = self] { of.append_all(); });
    for (auto& delivery : self.deliveries)
        for (std::size_t i = 1; i <= each; ++i) {
            const auto name = "tracker-" + std::string(delivery.name()) + (each > 1 ? fmt::format("-{}", i) : "");
            delivering.push_back(start_worker(name, [&delivery] { delivery.work(); }));
        }
    looking = start_worker("tracker-earlier", [&of = self] { of.earlier.work(); });
}

/// What has been accepted is delivered all the same, on this thread where there is no other.
void event_tracker::state::crew::do_without_those_missing() {
    const auto served = delivering.size() / each;
    self.intake.close();
    if (self.durable && !appending.joinable()) self.append_what_is_left();
    if (self.durable) self.spool->close();
    for (std::size_t i = served; i < self.deliveries.size(); ++i)
        in_spite_of_memory([&] { self.deliveries[i].work(); });
}

void event_tracker::state::crew::finish() {
    self.intake.close();
    self.earlier.close();
    if (self.durable) {
        if (appending.joinable()) appending.join();
        self.append_what_is_left();
        self.spool->close();
    }
    // Joins them. They end once the spool or queue is closed and holds nothing more for them, or the flush deadline has
    // passed.
    delivering.clear();
    if (looking.joinable()) looking.join();
    if (self.durable) self.spool->finish();
    for (const auto& sink : self.sinks) sink->finish();
    self.ended = true;
}

void event_tracker::run(std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any asked;  // before the threads: it may find no memory, and they are not to be left behind
    state::crew crew(*state_);
    try {
        crew.start();
    } catch (...) {
        crew.do_without_those_missing();
        crew.finish();
        throw;
    }
    // Not in a stop_callback: it runs on the stopper's thread, and closing wakes coroutines.
    std::unique_lock lock(mutex);
    asked.wait(lock, stop, [] { return false; });
    crew.finish();
}

bool event_tracker::takes_headers() const noexcept { return state_->options.cloud_events.on; }

account event_tracker::account() const {
    auto& self = *state_;
    auto account = self.durable ? self.spool->account() : self.memory->account();
    // Counted here, since some are refused before they come to the queue.
    account.refused = self.refused.load(std::memory_order_relaxed);
    // Nothing is tried after the flush deadline, and a worker that a sink still holds at that time
    // cannot say so: what is left then is lost, unless that sink comes back before the process ends.
    // In a spool it is not lost, but the next run's.
    const bool over = self.ended || lifecycle::clock::now() >= self.deadline();
    if (account.queued > 0 && over) {
        auto& column = self.durable ? account.spooled : account.dropped["deadline"];
        column += std::exchange(account.queued, 0);
    }
    self.earlier.add_to(account, over);
    return account;
}

std::size_t event_tracker::depth() const { return state_->intake.depth(); }

std::size_t event_tracker::waiting() const { return state_->intake.waiting(); }

bool event_tracker::healthy() const {
    return state_->earlier.healthy() &&
           std::ranges::all_of(state_->deliveries, [](const auto& delivery) { return delivery.healthy(); });
}

void event_tracker::apply(const options& fresh) {
    state_->intake.apply(fresh);
    if (state_->durable) state_->spool->apply(fresh);
    for (const auto& sink : state_->sinks) sink->apply(fresh);
}

void event_tracker::reopen() {
    for (const auto& sink : state_->sinks) sink->reopen();
}

std::vector<event_tracker::sink_state> event_tracker::sink_states() const {
    std::vector<sink_state> all;
    for (const auto& delivery : state_->deliveries)
        all.push_back({std::string(delivery.name()), delivery.healthy(), delivery.waiting(), delivery.copies()});
    all.front().healthy = all.front().healthy && state_->earlier.healthy();
    all.front().waiting += state_->earlier.waiting();
    return all;
}

std::uint64_t event_tracker::stranded() const noexcept {
    return state_->earlier.stranded() + (state_->durable ? state_->spool->stranded() : 0);
}

bool event_tracker::readable() const {
    return (!state_->durable || state_->spool->readable()) && state_->earlier.readable() &&
           std::ranges::all_of(state_->deliveries, [](const auto& delivery) { return delivery.can_bury(); }) &&
           std::ranges::all_of(state_->sinks, [](const auto& sink) { return sink->readable(); });
}

std::map<std::string_view, std::uint64_t> event_tracker::disk_errors() const {
    auto all = state_->durable ? state_->spool->disk_errors() : std::map<std::string_view, std::uint64_t>();
    const auto add = [&all](const auto& more) {
        for (const auto& [call, times] : more) all[call] += times;
    };
    add(state_->earlier.disk_errors());
    for (const auto& delivery : state_->deliveries) add(delivery.disk_errors());
    for (const auto& sink : state_->sinks) add(sink->disk_errors());
    return all;
}

std::uint64_t event_tracker::recovery_bytes_left() const {
    return state_->durable ? state_->spool->recovery_left() : 0;
}

bool event_tracker::writable() const { return !state_->durable || state_->spool->writable(); }

}  // namespace tracker
