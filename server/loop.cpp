#include "server/loop.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <malloc.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/post.hpp>
#include <new>
#include <random>
#include <stdexcept>
#include <utility>

namespace server {

namespace asio = boost::asio;
using lifecycle::clock;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds tick_of_a_stop{10};
constexpr milliseconds wedged_after{250};   // without a turn
constexpr milliseconds idle_look{250};      // how often idle connections are looked through
constexpr milliseconds crowd_lasts{2'000};  // twice the Retry-After of a refusal
constexpr milliseconds between_warnings{1'000};
constexpr std::size_t scratch_size = 16 * 1024;
constexpr std::string_view waits_at = ", waits at ";

/// ", waits at file:line", or nothing when it waits in no awaitable of ours.
std::string place(const connection& one) {
    const auto where = one.waits_at();
    return where.line() == 0 ? std::string() : fmt::format("{}{}:{}", waits_at, where.file_name(), where.line());
}

std::chrono::nanoseconds cpu_time_of_thread() {
    timespec used;
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

/// A loop whose tick has ended before its time looks after nobody.
struct without_tick {
    loop& whose;
    const bool& in_time;
    /// Made while there is memory: it may be for want of that that the tick ends.
    std::exception_ptr why = std::make_exception_ptr(std::runtime_error("its tick has ended"));
    ~without_tick() {
        if (!in_time) whose.fail(std::move(why));
    }
};

}  // namespace

loop::loop(const environment& env, std::size_t index)
    : env_(env),
      index_(index),
      timer_(io_),
      limits_(env.limits),
      workspaces_(limits_),
      endpoints_(env.routes.names().size() + 1),  // the last one: what no route has answered
      scratch_(scratch_size),
      tasks_(io_.get_executor()) {
    std::random_device random;
    fmt::format_to_n(last_id_.data(), last_id_.size(), "{:08x}{:08x}", static_cast<std::uint32_t>(random()), 0);
    update_date();
}

loop::~loop() = default;

std::optional<milliseconds> loop::stall() const noexcept {
    const clock::time_point at(clock::duration(static_cast<clock::rep>(account_.turned_at.get())));
    return at == clock::time_point{} ? std::nullopt : std::optional(duration_cast<milliseconds>(clock::now() - at));
}

std::vector<lifecycle::shutdown_report::straggler> loop::stragglers() const {
    std::vector<lifecycle::shutdown_report::straggler> late;
    const auto* const runs = last_entered();
    if (const auto still = stall(); still > wedged_after)  // not if there is none
        late.push_back({runs == nullptr ? "unknown" : runs->name, "request", *still,
                        fmt::format("on {}-{}, which does not turn", env_.name, index_ + 1)});
    const std::scoped_lock lock(stragglers_mutex_);
    for (const auto& [owner, one] : stragglers_) late.push_back(one);
    return late;
}

// ── for the connections ─────────────────────────────────────────────────────────────────────────

/// The account of a stop begins with what is there when this loop first knows of it.
void loop::note_stop(bool begun) {
    stop_noted_ = begun;
    account_.noted.set(begun ? 1 : 0);
    std::size_t open = 0;
    for (auto* list : {&idle_, &busy_})
        for (auto& one : *list) {
            one.stop_begins();
            ++open;
        }
    auto& a = account_;
    for (auto* from_zero : {&a.accepted_after, &a.closed_idle, &a.finished, &a.forced, &a.begun_after,
                            &a.requests_finished, &a.requests_cut, &a.requests_gone})
        from_zero->set(0);
    a.open_at_stop.set(open);
    a.in_flight_at_stop.set(a.under_way.get());
}

void loop::request_began() noexcept {
    account_.under_way.add();
    if (stop_noted_) account_.begun_after.add();
}

void loop::requests_ended(request_end how, std::uint64_t count) noexcept {
    account_.under_way.subtract(count);
    if (!stop_noted_) return;
    switch (how) {
        case request_end::finished: account_.requests_finished.add(count); break;
        case request_end::cut: account_.requests_cut.add(count); break;
        case request_end::gone: account_.requests_gone.add(count); break;
    }
}

std::string_view loop::make_request_id(std::array<char, 16>& into) noexcept {
    for (auto digit = last_id_.rbegin(); digit != last_id_.rend(); ++digit) {  // counts in hexadecimal digits
        const bool carry = *digit == 'f';
        *digit = carry ? '0' : *digit == '9' ? 'a' : static_cast<char>(*digit + 1);
        if (!carry) break;
    }
    into = last_id_;
    return {into.data(), into.size()};
}

void loop::resume(connection& rested) { tasks_.resume(rested, rested.run()); }

void loop::refused(clock::time_point now) {
    crowded_ = true;
    account_.crowded_until.set(static_cast<std::uint64_t>((now + crowd_lasts).time_since_epoch().count()));
}

void loop::moved(connection& one, bool was_waiting, bool waits) {
    auto& to = waits ? idle_ : busy_;
    auto& hook = static_cast<activity_hook&>(one);
    hook.unlink();
    to.push_back(one);
    if (waits && !was_waiting) ++idle_count_;
    if (!waits && was_waiting) --idle_count_;
    account_.idle.set(idle_count_);
}

void loop::left(connection& one) {
    const bool counts = stopping();  // first: what the stop finds open is counted with this one still among it
    if (one.waits_for_request()) --idle_count_;
    account_.idle.set(idle_count_);
    account_.open.subtract();
    if (counts) {
        auto& column = one.forced()               ? account_.forced
                       : one.worked_during_stop() ? account_.finished
                                                  : account_.closed_idle;
        column.add();
    }
    static_cast<activity_hook&>(one).unlink();
    std::erase(to_flush_, &one);
    if (one.straggled()) {  // its handler has returned after all
        const std::scoped_lock lock(stragglers_mutex_);
        stragglers_.erase(&one);
    }
    end_if_empty();
}

void loop::flush_soon(connection& one) {
    to_flush_.push_back(&one);
    if (to_flush_.size() > 1) return;
    auto flush = [this] {
        for (auto* const waiting : to_flush_) waiting->flush_behind_handler();
        to_flush_.clear();
    };
    try {
        asio::post(io_, asio::bind_allocator(lifecycle::operation_allocator<void>(), flush));
    } catch (const std::bad_alloc&) {
        flush();
    }
}

void loop::straggles(const connection& late) {
    const auto age = duration_cast<milliseconds>(clock::now() - late.since());
    env_.log.warn("{} has not ended with its context: {} ms old{} ({})", late.describe(), age.count(), place(late),
                  late.identity());
    const std::scoped_lock lock(stragglers_mutex_);
    stragglers_[&late] = {late.describe(), "request", age, place(late).erase(0, waits_at.size())};
}

void loop::held_up_by(const connection& one) {
    if (held_up_by_.empty()) held_up_by_ = fmt::format("{} ({})", one.describe(), one.identity());
}

std::vector<task_row> loop::describe() const {
    std::vector<task_row> rows;
    const auto now = clock::now();
    tasks_.for_each([&](const lifecycle::task& one) {
        const auto* const client = dynamic_cast<const connection*>(&one);
        task_row row{one.name, one.kind, "waiting", {}, duration_cast<milliseconds>(now - one.born)};
        if (client != nullptr) {
            row.name = client->describe();
            row.state = client->abandoned() ? "abandoned" : client->rests() ? "resting" : to_string(client->now_in());
            row.where = place(*client).erase(0, waits_at.size());
            row.client = fmt::format("{}:{}", client->peer().address().to_string(), client->peer().port());
            if (client->now_in() == connection::state::handling) {
                row.kind = "request";
                row.age = duration_cast<milliseconds>(now - client->since());
                row.trace = client->trace_id();
                row.target = client->target();
                row.left = duration_cast<milliseconds>(client->view().deadline - now);
            }
        }
        rows.push_back(std::move(row));
    });
    return rows;
}

// ── the tick ────────────────────────────────────────────────────────────────────────────────────

lifecycle::awaitable<> loop::tick() {
    const without_tick last_words{.whose = *this, .in_time = ended_};
    auto due = clock::now();
    while (!ended_) {
        const auto pause = stopping() ? tick_of_a_stop : usual_tick;
        due = clock::now() + pause;
        stands_still_after_ = due + standstill;
        timer_.expires_at(due);
        auto waiting = timer_.async_wait(lifecycle::quietly);
        const auto [error] = co_await std::move(waiting);
        const auto now = clock::now();
        if (!error) account_.lag.observe(now - due);
        attempt_tick(now, error ? clock::duration{} : now - due);
    }
}

/// What it finds no memory for comes 50 ms later.
void loop::attempt_tick(clock::time_point now, clock::duration lag) noexcept {
    if (const auto orders = orders_.exchange(0); orders != 0) obey(orders);
    kept_back_->refill();
    try {
        if (lag > clock::duration{}) warn_of_standstill(lag);
        on_tick(now);
    } catch (const std::exception& e) {
        try {
            env_.log.error("{}-{}: a tick failed: {}", env_.name, index_ + 1, e.what());
        } catch (...) {}  // nor for this line
    }
}

void loop::on_tick(clock::time_point now) {
    account_.turns.add();
    account_.turned_at.set(static_cast<std::uint64_t>(now.time_since_epoch().count()));
    update_date();
    stopping();
    crowded_ = now < env_.crowded_until();
    const auto drain = drain_now();
    if (!warned_ && now >= warn_at(drain.over) && now < drain.over) warn_of_late();
    look_after(busy_, drain, now);
    look_for_gone_clients();
    if (now >= next_idle_look_ || stop_noted_) {
        next_idle_look_ = now + idle_look;
        look_after(idle_, drain, now);
        if (workspaces_.shrink()) ::malloc_trim(0);  // malloc_trim(3): of all threads' arenas
    }
    end_if_empty();
    publish_idle();
    publish_states();
}

drain_view loop::drain_now() const {
    if (!draining_) return {};
    return {true, idle_until_, env_.deadline ? env_.deadline() : clock::time_point::max()};
}

void loop::look_after(connections& list, const drain_view& drain, clock::time_point now) {
    for (auto at = list.begin(); at != list.end();) {
        auto& one = *at++;
        try {
            one.discard_input();
            one.obey(decide(one.view(), drain, now), now);
        } catch (const std::bad_alloc& e) {  // the others are looked after all the same
            lost_connection(e.what());
            one.cut();
        }
    }
}

/// A client that has gone is seen by the socket, not by the next write: one poll(2) for all whose
/// handler waits. POLLRDHUP is set behind unread bytes too, which readability would hide; a reset is seen in any case.
void loop::look_for_gone_clients() {
    auto& sockets = watched_;
    auto& owners = watched_by_;
    sockets.clear();
    owners.clear();
    for (auto& one : busy_) {
        if (one.now_in() != connection::state::handling || one.abandoned()) continue;
        sockets.push_back({one.descriptor(), static_cast<short>(limits_->half_close ? 0 : POLLRDHUP), 0});
        owners.push_back(&one);
    }
    if (sockets.empty() || ::poll(sockets.data(), sockets.size(), 0) <= 0) return;
    for (std::size_t nth = 0; nth < sockets.size(); ++nth)
        if ((sockets[nth].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) owners[nth]->client_gone();
}

/// 80 % of the drain's share of the budget: late enough to mean something, early enough to help.
clock::time_point loop::warn_at(clock::time_point end) const {
    return end == clock::time_point::max() ? end : drain_began_ + (end - drain_began_) * 8 / 10;
}

void loop::warn_of_late() {
    constexpr std::size_t most = 10;
    warned_ = true;
    std::size_t late = 0;
    for (const auto& one : busy_) {
        if (one.now_in() == connection::state::lingering || ++late > most) continue;
        const auto age = duration_cast<milliseconds>(clock::now() - one.since()).count();
        env_.log.warn("the drain waits for {}: {} for {} ms{}", one.describe(), to_string(one.now_in()), age,
                      place(one));
    }
    if (late > most) env_.log.warn("the drain waits for {} more", late - most);
}

/// All clients of a loop wait while one of its handlers computes, or blocks. With little CPU time it has blocked, or
/// the machine had none to give.
void loop::warn_of_standstill(clock::duration lag) {
    const auto computed = cpu_time_of_thread();
    const auto held_up_by = std::exchange(held_up_by_, {});
    const auto used = duration_cast<milliseconds>(computed - std::exchange(computed_, computed));
    if (held_up_by.empty() || lag < standstill || clock::now() < next_standstill_warning_) return;
    next_standstill_warning_ = clock::now() + between_warnings;
    env_.log.warn("{}-{} stood still for {} ms, {} ms of CPU time: {}", env_.name, index_ + 1,
                  duration_cast<milliseconds>(lag).count(), used.count(), held_up_by);
}

/// The last connection has gone and no new one can come: the loop runs out of work.
void loop::end_if_empty() {
    if (!draining_ || !sealed_ || ended_ || account_.open.get() > 0) return;
    ended_ = true;
    tasks_.close();
    timer_.cancel();
}

void loop::update_date() {
    const auto second = std::time(nullptr);
    if (second == date_second_) return;
    date_second_ = second;
    date_.clear();  // and keeps its memory
    fmt::format_to(std::back_inserter(date_), "{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(second));  // RFC 9110, 5.6.7
}

void loop::publish_states() {
    std::array<std::uint64_t, connection_states> now{};
    for (const auto& one : busy_) ++now[static_cast<std::size_t>(one.now_in())];
    for (std::size_t at = 0; at < now.size(); ++at) account_.in_state[at].set(now[at]);
}

void loop::publish_idle() {
    account_.oldest_idle.set(
        idle_.empty() ? 0 : static_cast<std::uint64_t>(idle_.front().since().time_since_epoch().count()));
}

}  // namespace server
