// How a loop runs and how it fails; what other threads ask of it.

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <new>
#include <stdexcept>

#include "server/loop.hpp"

namespace server {

namespace asio = boost::asio;
using lifecycle::clock;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t most_timers = 256;
constexpr milliseconds between_loss_lines{1'000};  // and others that clients bring about

}  // namespace

void loop::run() {
    lifecycle::operation_memory kept_back;
    kept_back_ = &kept_back;
    thread_ = static_cast<pid_t>(::syscall(SYS_gettid));
    account_.turned_at.set(static_cast<std::uint64_t>(clock::now().time_since_epoch().count()));
    reserve_timers();
    tasks_.spawn("tick", "timer", tick());
    for (bool ended = false; !ended;) {
        try {
            io_.run();
            ended = true;
        } catch (const std::bad_alloc& e) {  // whatever wanted it has ended, or does not begin
            lost_connection(e.what());
        } catch (...) {
            fail(std::current_exception());
        }
    }
    access_lines_.write(*env_.access);
    account_.turned_at.set(0);
    kept_back_ = nullptr;
    for (const auto& [name, error] : tasks_.errors()) std::rethrow_exception(error);
}

/// Asio's queue of timers grows when one is started, where a coroutine cannot be told that there is no memory.
void loop::reserve_timers() {
    const auto most = std::min(limits_->max_in_flight, most_timers);
    std::vector<lifecycle::loop_timer> timers;
    timers.reserve(most);
    for (std::size_t nth = 0; nth < most; ++nth) {
        timers.emplace_back(io_, clock::now() + std::chrono::hours(1));
        timers.back().async_wait([](boost::system::error_code) {});
    }
}

void loop::fail(std::exception_ptr why) noexcept {
    if (failed_) return;
    failed_ = true;
    if (env_.failed) env_.failed(*this, std::move(why));
    obey(to_close);
}

void loop::lost_connection(const char* why) noexcept try {
    ++lost_;
    if (clock::now() < next_loss_warning_) return;
    next_loss_warning_ = clock::now() + between_loss_lines;
    env_.log.error("{}-{}: a connection is closed, {} so far: {}", env_.name, index_ + 1, lost_, why);
} catch (...) {}  // not even memory to say so

void loop::meets(rule other, const asio::ip::tcp::endpoint& client) noexcept try {
    ++met_;
    if (clock::now() < next_meeting_line_) return;
    next_meeting_line_ = clock::now() + between_loss_lines;
    env_.log.info("{}: what {} sends looks like {}, which is not spoken here; {} such so far", env_.name,
                  client.address().to_string(), in_words(other), met_);
} catch (...) {}  // not even memory to say so

// ── from other threads ──────────────────────────────────────────────────────────────────────────

void loop::adopt(int descriptor, asio::ip::tcp::endpoint peer) {
    stream_socket socket(io_.get_executor());
    boost::system::error_code error;
    try {
        socket.assign(peer.protocol(), descriptor, error);
    } catch (...) {
        ::close(descriptor);
        throw;
    }
    if (error) ::close(descriptor);
    if (error) throw std::runtime_error("epoll_ctl: " + error.message());
    asio::dispatch(io_, [this, socket = std::move(socket), peer]() mutable { take(std::move(socket), peer); });
}

void loop::take(stream_socket socket, asio::ip::tcp::endpoint peer) noexcept try {
    if (closing_ || ended_) return;  // the socket closes itself
    auto made = std::make_unique<connection>(*this, std::move(socket), peer);
    auto* const one = made.get();
    if (stopping()) account_.accepted_after.add();  // before it is among those that the stop found open
    idle_.push_back(*one);
    ++idle_count_;
    account_.accepted.add();
    account_.open.add();
    tasks_.spawn(std::move(made), one->run());
    publish_idle();
} catch (const std::exception& e) {
    lost_connection(e.what());
    if (!idle_.empty()) idle_.front().look_and_close('R');  // whoever has been idle longest makes room
}

void loop::give(order one) noexcept {
    try {
        asio::post(io_, [this, one] { obey(one); });
    } catch (const std::bad_alloc&) {
        orders_.fetch_or(one);
    }
}

void loop::obey(unsigned orders) {
    if ((orders & to_seal) != 0) sealed_ = true;
    if ((orders & to_close) != 0) {
        draining_ = closing_ = true;
        for (auto* list : {&idle_, &busy_})
            for (auto& one : *list) one.cut();
    }
    if ((orders & to_drain) != 0 && !closing_) {
        stopping();
        draining_ = true;
        drain_began_ = clock::now();
        idle_until_ = drain_began_ + (env_.stop != nullptr ? env_.stop->options().idle_grace : milliseconds(0));
        timer_.cancel();
    }
    end_if_empty();
}

void loop::drain() { give(to_drain); }

void loop::seal() { give(to_seal); }

void loop::close() { give(to_close); }

void loop::apply(std::shared_ptr<const options> fresh) {
    asio::post(io_, [this, fresh = std::move(fresh)] { limits_ = fresh; });
}

void loop::make_room() {
    asio::post(io_, [this] {
        if (!idle_.empty()) idle_.front().look_and_close('R');
    });
}

}  // namespace server
