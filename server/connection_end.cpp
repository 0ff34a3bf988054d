// How a connection writes, and how it ends: by itself, by its client, by the tick, by the end of a drain.

#include <fmt/format.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <utility>

#include "server/connection.hpp"
#include "server/loop.hpp"

namespace server {

namespace asio = boost::asio;
using lifecycle::cause;
using lifecycle::clock;
using std::chrono::milliseconds;

namespace {

constexpr int reads_a_tick = 64;
constexpr milliseconds longest_linger{1'000};    // without a byte
constexpr std::uint64_t least_in_a_stop = 1024;  // bytes in each such time: less is no upload that anybody waits for
constexpr milliseconds look_at_rate{1'000};

std::uint64_t least_bytes(const options& limits, clock::duration over) {
    return limits.min_data_rate * static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(over).count()) /
           1'000;
}

}  // namespace

/// An answer that the end of the drain has brought about is not what the request was after.
void connection::count_answer() noexcept {
    if (!std::exchange(counted_, false)) loop_.request_began();  // what was refused was not even the start of one
    if (forced_)
        loop_.requests_ended(request_end::cut, 1);
    else
        ++unflushed_;
}

void connection::answered() noexcept {
    if (unflushed_ > 0) loop_.requests_ended(request_end::finished, unflushed_);
    unflushed_ = 0;
}

/// True when everything is in the socket.
bool connection::flush_now() {
    if (!work_ || work_->out.empty()) return true;
    while (!work_->flushed()) {
        const auto count = ::send(descriptor(), work_->out.data() + work_->written, work_->out.size() - work_->written,
                                  MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno != EAGAIN) {  // the client is gone: nobody is left to answer
            broken_ = true;
            left_over_ = request_end::gone;
        }
        if (count < 0) return broken_;
        work_->written += static_cast<std::size_t>(count);
        sent_ += static_cast<std::size_t>(count);
    }
    work_->out.clear();
    work_->written = 0;
    if (state_ != state::streaming) answered();
    return true;
}

void connection::flush_behind_handler() {
    flush_asked_ = false;
    if (state_ == state::handling && !abandoned_) flush_now();
}

lifecycle::awaitable<> connection::flush() {
    if (state_ != state::streaming) {
        enter(state::writing, {});
        watch_reader();
    }
    blocked_ = true;
    while (!broken_ && !flush_now()) {
        auto waiting = socket_.async_wait(stream_socket::wait_write, lifecycle::quietly);
        const auto [error] = co_await std::move(waiting);
        if (error || interrupt_ == interrupt::cut) broken_ = true;
        if (error && interrupt_ != interrupt::cut) left_over_ = request_end::gone;
    }
    blocked_ = false;
    now_ = clock::now();
}

/// What has been sent and not acknowledged; a socket is writable again only when a third of that is gone.
int connection::unacknowledged() {
    int waiting = 0;
    ::ioctl(descriptor(), SIOCOUTQ, &waiting);  // tcp(7)
    return waiting;
}

/// From here on counts what the client takes of a response.
void connection::watch_reader() {
    deadline_ = clock::now() + limits().write_timeout;
    taken_ = sent_ - static_cast<unsigned>(unacknowledged());
}

/// The client has taken enough of the response for another `write_timeout`.
bool connection::reads_on() {
    const auto before = taken_;
    const auto& limits = this->limits();
    watch_reader();
    return taken_ - before >= std::max<std::uint64_t>(1, least_bytes(limits, limits.write_timeout));
}

/// A body within its deadline is not too slow by now; the tick looks again in a second.
bool connection::brings_enough(clock::time_point now) {
    const auto& limits = this->limits();
    const auto end = since_ + limits.body_timeout;
    if (now >= end || received_ < least_bytes(limits, now - since_)) return false;
    deadline_ = std::min(end, now + look_at_rate);
    return true;
}

/// Asks for the next piece when the last one is in the socket: memory is bounded by one window.
lifecycle::awaitable<> connection::stream() {
    auto& reply = work_->reply;
    const auto coding = work_->coding;
    auto left = reply.length.value_or(0);
    bool failed = false;
    enter(state::streaming, {});
    watch_reader();
    if (coding == body_coding::until_close) reset_at_close(true);  // also when the process ends in the middle
    try {
        for (auto count = reply.body.size(); count > 0 && !broken_;) {
            left -= coding == body_coding::length ? count : 0;
            if (coding == body_coding::chunked) fmt::format_to(std::back_inserter(work_->out), "{:x}\r\n", count);
            work_->out.append(reply.body.data(), count);
            if (coding == body_coding::chunked) work_->out += "\r\n";
            if (!flush_now()) co_await flush();
            if (broken_ || (coding == body_coding::length && left == 0)) break;
            const auto room = coding == body_coding::length ? left : response::window;
            reply.body.resize(std::min<std::uint64_t>(room, response::window));
            const auto time_of_reader = deadline_ - clock::now();
            deadline_ = clock::now() + limits().write_timeout;  // a source may stand still as long
            auto asking = reply.pieces(std::span(reply.body));
            count = co_await std::move(asking);
            deadline_ = clock::now() + time_of_reader;
            if (interrupt_ == interrupt::cut) break;
        }
    } catch (...) {
        loop_.env().log.error("a response was cut: {} ({})", what_was_thrown(), identity());
        failed = true;
    }
    const bool too_short = coding == body_coding::length && left > 0;  // than was promised
    end_streaming(coding, !failed && !too_short && !broken_ && interrupt_ != interrupt::cut);
    now_ = clock::now();
    enter(state::writing, now_ + limits().write_timeout);
}

/// What was cut must not look whole. Clients take a body without a length for whole when a FIN ends it, and so do some
/// when it has one or comes in chunks: a reset is what all of them understand. In front of it a line that is no chunk
/// size, for proxies that pass on what they have read before they see the reset.
void connection::end_streaming(body_coding coding, bool whole) {
    if (coding == body_coding::chunked && !broken_) work_->out += whole ? "0\r\n\r\n" : "response cut\r\n";
    if (!whole && !broken_) flush_now();
    broken_ = broken_ || !whole;
    if (broken_ || coding == body_coding::until_close) reset_at_close(broken_);
}

void connection::reset_at_close(bool reset) {
    const ::linger how{.l_onoff = reset ? 1 : 0, .l_linger = 0};  // socket(7)
    ::setsockopt(descriptor(), SOL_SOCKET, SO_LINGER, &how, sizeof how);
}

/// RFC 9112 section 9.6: half-close, read on until the client has closed, then close; a plain close
/// with unread bytes resets the connection and takes the response with it. Who is still sending a body
/// may do so for as long as a body may take, in a stop too, but not drop by drop then.
lifecycle::awaitable<> connection::goodbye() {
    if (!broken_ && !flush_now()) co_await flush();
    boost::system::error_code ignored;
    if (!broken_ && linger_) {
        socket_.shutdown(stream_socket::shutdown_send, ignored);
        enter(state::lingering, now_ + longest_linger);
        loop_.workspaces().give_back(std::exchange(work_, nullptr));
        const auto end = since_ + limits().body_timeout;
        auto counted_from = since_;
        for (std::uint64_t brought = 0;;) {
            const auto into = asio::buffer(loop_.scratch().data(), loop_.scratch().size());
            auto reading = socket_.async_read_some(into, lifecycle::quietly);
            const auto [error, count] = co_await std::move(reading);
            if (error || interrupt_ != interrupt::none) break;
            since_ = clock::now();
            brought += count;
            if (since_ - counted_from >= longest_linger) {
                if (loop_.stopping() && brought < least_in_a_stop) break;
                counted_from = since_;
                brought = 0;
            }
            deadline_ = std::min(end, since_ + longest_linger);
        }
    }
    if (broken_ && work_ && !work_->flushed()) reset_at_close(true);
    socket_.close(ignored);
    log_end();
}

void connection::discard_input() {
    for (int reads = 0; reads < reads_a_tick && linger_ && blocked_; ++reads)
        if (::recv(descriptor(), loop_.scratch().data(), loop_.scratch().size(), MSG_DONTWAIT) <= 0) break;
}

void connection::stop_waiting(interrupt why) {
    interrupt_ = why;
    boost::system::error_code ignored;
    socket_.cancel(ignored);
}

void connection::look_and_close(char why) {
    if (!waits_for_request()) return;
    end_ = {why, 'I'};
    stop_waiting(interrupt::look);
}

void connection::client_gone() {
    if (!told_ && state_ == state::handling && !abandoned_) work_->scope.cancel(cause::client_gone);
}

void connection::obey(decision decided, clock::time_point now) {
    const bool drain = decided.by_drain;
    switch (decided.what) {
        case decision::action::none: break;
        case decision::action::rest:
            if (interrupt_ == interrupt::none) stop_waiting(interrupt::rest);
            break;
        case decision::action::look_and_close: look_and_close(drain ? 'D' : 'T'); break;
        case decision::action::time_out:
            if (!drain && state_ == state::body && brings_enough(now)) break;
            forced_ = forced_ || drain;
            late_ = true;
            stop_waiting(interrupt::expired);
            break;
        case decision::action::tell_handler:
            told_ = true;
            forced_ = forced_ || drain;
            deadline_ = drain ? clock::time_point::max() : now + grace_after_deadline;  // a drain ticks on
            work_->scope.cancel(drain ? cause::shutdown : cause::deadline);
            break;
        case decision::action::answer:
            answer_in_place_of_handler(drain ? http::status::service_unavailable : http::status::gateway_timeout);
            break;
        case decision::action::cut:
            if (!drain && blocked_ && reads_on()) break;
            forced_ = forced_ || drain;
            if (state_ == state::streaming && !blocked_ && interrupt_ == interrupt::cut) straggles();  // told before
            end_ = {drain ? 'K' : 'T', 'D'};
            cut();
            // A client that takes nothing for so long is as good as gone; a source that stands still has failed.
            if (!drain) left_over_ = blocked_ ? request_end::gone : request_end::finished;
            break;
        case decision::action::hang_up_if_acknowledged:
            if (unacknowledged() > 0) break;
            [[fallthrough]];
        case decision::action::hang_up: stop_waiting(interrupt::cut); break;
    }
}

void connection::cut() {
    left_over_ = request_end::cut;
    if (state_ == state::handling && !abandoned_) {
        told_ = true;
        work_->scope.cancel(cause::shutdown);
        broken_ = true;
    }
    stop_waiting(interrupt::cut);
    if (state_ != state::streaming) return;
    reset_at_close(true);                  // also where its source does not return and the process ends
    work_->scope.cancel(cause::shutdown);  // its source may wait by it
}

void connection::straggles() {
    if (!std::exchange(straggled_, true)) loop_.straggles(*this);
}

/// Straight to the socket, behind what is already due; the handler's own answer will be dropped. The
/// buffer stays pinned until it has returned.
void connection::answer_in_place_of_handler(http::status code) {
    abandoned_ = ending_ = true;
    end_ = {forced_ ? 'K' : 'T', 'H'};
    straggles();
    auto reply = problem(code);
    say_when_to_return(reply);
    append(reply, framing_of(work_->parser.request(), true), work_->out);
    count_answer();
    refused_by(forced_ ? rule::drain : rule::request_timeout);
    now_ = clock::now();
    account(reply);
    const bool sent = flush_now() && !broken_;
    if (!sent) broken_ = true;
    boost::system::error_code ignored;
    socket_.shutdown(stream_socket::shutdown_send, ignored);
    // Unread bytes would turn the close at the exit into a reset that takes the answer with it.
    for (int reads = 0; reads < reads_a_tick; ++reads)
        if (::recv(descriptor(), loop_.scratch().data(), loop_.scratch().size(), MSG_DONTWAIT) <= 0) break;
}

std::string connection::describe() const { return endpoint_ != nullptr ? endpoint_->name : "connection"; }

std::source_location connection::waits_at() const noexcept {
    const bool has_handler = state_ == state::handling || state_ == state::streaming;
    return work_ && has_handler ? work_->scope.get().waits_at() : std::source_location{};
}

std::string_view connection::trace_id() const noexcept {
    return work_ ? work_->parser.request().trace.id() : std::string_view();
}

std::string_view connection::target() const noexcept {
    return work_ && state_ == state::handling ? work_->parser.request().target : std::string_view();
}

}  // namespace server
