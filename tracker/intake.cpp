#include "tracker/intake.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <cassert>
#include <utility>

namespace tracker {
namespace asio = boost::asio;
namespace {

void wake(waiter_ptr sender) {
    const auto executor = sender->alarm.get_executor();
    // The reference goes along: the loop's thread drops the last one, and with it the timer.
    const wake_allocator<void> room{sender};
    asio::post(executor, asio::bind_allocator(room, [sender = std::move(sender)] { sender->alarm.cancel(); }));
}

}  // namespace

/// Takes a waiter off the line however its coroutine ends, also when a loop is destroyed under it.
class intake::place_in_line {
public:
    place_in_line(intake& whose, waiter& sender) noexcept : intake_(whose), waiter_(sender) {}
    ~place_in_line() { leave(); }
    place_in_line(const place_in_line&) = delete;
    place_in_line& operator=(const place_in_line&) = delete;

    verdict leave() { return intake_.leave_line(waiter_); }

private:
    intake& intake_;
    waiter& waiter_;
};

intake::intake(const options& options, promise when)
    : options_(options),
      answers_later_(when == promise::answered),
      ring_(std::max<std::size_t>(options.queue_capacity, 1)) {}

intake::~intake() { assert(line_.empty() && "a coroutine outlives the queue that it waits for"); }

bool intake::fits(const event& event) const noexcept {
    // An event larger than the whole limit gets in alone.
    return ring_.empty() || (!ring_.full() && bytes_ + bytes_of(event) <= options_.queue_bytes);
}

bool intake::worth_a_delivery() const noexcept {
    return closed_ || ring_.full() || !line_.empty() || ring_.size() >= options_.batch_events ||
           bytes_ >= std::min(options_.batch_bytes, options_.queue_bytes);
}

void intake::put(event& event, waiter* sender) {
    // The age of a batch is that of the event which has waited longest.
    if (ring_.empty()) oldest_ = lifecycle::clock::now();
    bytes_ += bytes_of(event);
    assert(!ring_.full() && "it would overwrite the oldest");
    ring_.push_back({std::move(event), sender});
    if (sender != nullptr) sender->queued = true;
    ++accepted_;
}

intake::place intake::take_oldest() {
    auto oldest = std::move(ring_.front());
    ring_.pop_front();
    assert(bytes_ >= bytes_of(oldest.what));
    bytes_ -= bytes_of(oldest.what);
    return oldest;
}

verdict intake::try_push(event& event) {
    bool wake_worker = false;
    {
        const std::scoped_lock lock(mutex_);
        if (closed_) return verdict::closed;
        // Those that wait have done so since another policy was in force: a newcomer waits after them, and nothing is
        // dropped.
        if (options_.overflow == overflow::drop_oldest && !answers_later_ && line_.empty()) {
            while (!fits(event)) {
                take_oldest();
                ++dropped_;
            }
        }
        // A newcomer takes its place after those that wait for room already.
        if (!fits(event) || !line_.empty()) return verdict::full;
        put(event);
        // A worker that waits for a batch to fill need not be woken for each event.
        wake_worker = ring_.size() == 1 || worth_a_delivery();
    }
    if (wake_worker) arrived_.notify_one();
    return verdict::accepted;
}

lifecycle::awaitable<verdict> intake::push(lifecycle::context context, event event, std::source_location where) {
    const auto executor = co_await asio::this_coro::executor;
    const waiter_ptr self(new waiter(executor, std::move(event), context.deadline()));
    // The usual case, with durability `memory`: there is room, and the coroutine does not suspend.
    if (!stand_in_line(*self)) co_return self->answer;

    place_in_line place(*this, *self);
    // Runs on the thread that cancels, in its own constructor if the context has ended meanwhile: it may
    // only post, and what it posts comes after the timer below has been started.
    const lifecycle::context::on_cancel cancelled(context, [self] { wake(self); });
    const lifecycle::context::waiting here(context, where);
    auto woken = self->alarm.async_wait(lifecycle::quietly);
    // NOLINTNEXTLINE(performance-move-const-arg): asio awaits an rvalue only
    co_await std::move(woken);
    co_return place.leave();
}

/// False, with the answer in `sender`, when there is nothing to wait for.
bool intake::stand_in_line(waiter& sender) {
    bool waits = false;
    {
        const std::scoped_lock lock(mutex_);
        if (closed_) {
            sender.answer = verdict::closed;
            return false;
        }
        if (line_.empty() && fits(sender.offered)) {
            put(sender.offered, answers_later_ ? &sender : nullptr);
            waits = answers_later_;
            if (!waits) sender.answer = verdict::accepted;
        } else if (options_.overflow == overflow::reject) {
            sender.answer = verdict::full;
            return false;
        } else {
            line_.push_back(sender);
            waits = true;
        }
    }
    arrived_.notify_one();  // a worker that lets a batch grow does not while someone waits for room
    return waits;
}

verdict intake::leave_line(waiter& sender) {
    const std::scoped_lock lock(mutex_);
    // Still in line: woken by the deadline or a cancel. Those after it need no look: the ring is not
    // empty, or the first in line would be in it, so a worker comes by and lets them in.
    if (sender.is_linked()) line_.erase(line_.iterator_to(sender));
    if (sender.queued) withdraw(sender);
    return sender.answer;
}

/// No client has been promised its event. Mutex held.
void intake::withdraw(waiter& sender) {
    const auto found = std::ranges::find_if(ring_, [&](const place& place) { return place.sender == &sender; });
    assert(found != ring_.end() && "what is queued is in the ring");
    bytes_ -= bytes_of(found->what);
    --accepted_;
    sender.queued = false;
    ring_.erase(found);
    // There is room for another now. With an answer that comes later none is woken for that.
    awakened nobody;
    admit(nobody);
    arrived_.notify_one();
}

void intake::admit(awakened& woken) {
    // A waiter that `woken` has no room for comes with the next batch.
    while (!line_.empty() && woken.size() < woken.capacity() && fits(line_.front().offered)) {
        auto& first = line_.front();
        line_.pop_front();
        put(first.offered, answers_later_ ? &first : nullptr);
        if (answers_later_) continue;
        first.answer = verdict::accepted;
        woken.emplace_back(&first);
    }
}

/// False when the queue is closed and empty.
bool intake::wait_for_batch(std::unique_lock<std::mutex>& lock, lifecycle::clock::time_point until) {
    for (;;) {
        auto due = lifecycle::clock::time_point::max();
        if (!ring_.empty()) due = oldest_ + options_.batch_age;
        // Closed: what is left is still delivered, until there is nothing.
        if (ring_.empty() && closed_) return false;
        if (!ring_.empty() && worth_a_delivery()) return true;
        due = std::min(due, until);
        if (due == lifecycle::clock::time_point::max()) {
            arrived_.wait(lock);
            continue;
        }
        // Too few for a batch, but one of them has waited for as long as it may.
        if (lifecycle::clock::now() >= due) return true;
        arrived_.wait_until(lock, due);
    }
}

/// Moved once, from the ring to the batch, which has room.
void intake::take_next(batch& into, std::size_t& bytes) {
    auto& next = ring_.front();
    const auto size = bytes_of(next.what);
    into.events.push_back(std::move(next.what));
    bytes += size;
    bytes_ -= size;
    // From here on it cannot be withdrawn: it may be written already.
    assert(bytes_ == 0 || ring_.size() > 1);
    if (next.sender) next.sender->queued = false;
    if (answers_later_) into.waiting.push_back(std::move(next.sender));
    ring_.pop_front();
}

/// `bytes`: of what is in the batch already. Unlocks.
void intake::hand_out(batch& into, std::size_t bytes, std::unique_lock<std::mutex> lock) {
    const auto before = into.events.size();
    while (!ring_.empty() && into.events.size() < options_.batch_events &&
           // One that is larger than a batch goes alone.
           (into.events.empty() || bytes + bytes_of(ring_.front().what) <= options_.batch_bytes))
        take_next(into, bytes);
    in_hand_ += into.events.size() - before;
    awakened woken;
    admit(woken);
    // There is more: another worker may take it while this one is at the sink.
    const bool more = !ring_.empty();
    lock.unlock();
    if (more) arrived_.notify_one();
    for (auto& sender : woken) wake(std::move(sender));
}

bool intake::take_until(batch& into, lifecycle::clock::time_point when) {
    into.events.clear();
    into.waiting.clear();
    std::unique_lock lock(mutex_);
    if (!wait_for_batch(lock, when)) return false;
    hand_out(into, 0, std::move(lock));
    return true;
}

void intake::add_to(batch& into) {
    std::size_t bytes = 0;
    for (const auto& event : into.events) bytes += bytes_of(event);
    hand_out(into, bytes, std::unique_lock(mutex_));
}

std::uint64_t intake::answer(batch& taken, verdict how) {
    std::uint64_t unattended = 0;
    {
        const std::scoped_lock lock(mutex_);
        assert(in_hand_ >= taken.events.size() && "only what was taken is answered");
        in_hand_ -= taken.events.size();
        for (const auto& sender : taken.waiting) {
            if (sender) sender->answer = how;
            unattended += sender ? 0U : 1U;
        }
    }
    for (auto& sender : taken.waiting)
        if (sender) wake(std::move(sender));
    taken.waiting.clear();
    return unattended;
}

std::uint64_t intake::done(std::uint64_t events) {
    const std::scoped_lock lock(mutex_);
    assert(in_hand_ >= events && "only what was taken is settled");
    return in_hand_ -= events;
}

void intake::close() {
    // In rounds, since `woken` has bounded room: a close must not need memory.
    awakened woken;
    do {
        woken.clear();
        {
            const std::scoped_lock lock(mutex_);
            closed_ = true;
            while (!line_.empty() && woken.size() < woken.capacity()) {
                line_.front().answer = verdict::closed;
                woken.emplace_back(&line_.front());
                line_.pop_front();
            }
        }
        for (auto& sender : woken) wake(std::move(sender));
    } while (!woken.empty());
    arrived_.notify_all();
    closing_.notify_all();
}

bool intake::closed() const {
    const std::scoped_lock lock(mutex_);
    return closed_;
}

bool intake::over() const {
    const std::scoped_lock lock(mutex_);
    return closed_ && ring_.empty() && in_hand_ == 0;
}

void intake::pause_while_open(lifecycle::clock::time_point when) {
    std::unique_lock lock(mutex_);
    closing_.wait_until(lock, when, [&] { return closed_; });
}

void intake::apply(const options& fresh) {
    const std::scoped_lock lock(mutex_);
    options_.overflow = fresh.overflow;
    options_.queue_bytes = fresh.queue_bytes;
    arrived_.notify_all();
}

intake::numbers intake::counts() const {
    const std::scoped_lock lock(mutex_);
    return {.accepted = accepted_, .dropped = dropped_, .queued = ring_.size(), .in_hand = in_hand_};
}

std::size_t intake::depth() const {
    const std::scoped_lock lock(mutex_);
    return ring_.size();
}

std::size_t intake::waiting() const {
    const std::scoped_lock lock(mutex_);
    return line_.size();
}

}  // namespace tracker
