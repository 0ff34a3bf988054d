#include "server/connection.hpp"

#include <fmt/format.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <charconv>

#include "server/loop.hpp"

namespace server {

namespace asio = boost::asio;
using lifecycle::cause;
using lifecycle::clock;
using std::chrono::milliseconds;

namespace {

constexpr auto quietly = asio::as_tuple(asio::deferred);
constexpr milliseconds grace_after_deadline{100};  // for a handler to notice that its context has ended
constexpr milliseconds longest_linger{1'000};

}  // namespace

std::string_view to_string(connection::state state) noexcept
{
    switch (state) {
        case connection::state::fresh: return "fresh";
        case connection::state::idle: return "idle";
        case connection::state::head: return "reading head";
        case connection::state::body: return "reading body";
        case connection::state::handling: return "handling";
        case connection::state::writing: return "writing";
        case connection::state::streaming: return "streaming";
        case connection::state::lingering: return "lingering";
    }
    return "unknown";
}

connection::connection(loop& on, stream_socket socket, asio::ip::tcp::endpoint peer)
    : task("connection", "connection"), loop_(on), socket_(std::move(socket)), peer_(peer)
{
    since_ = clock::now();
    deadline_ = since_ + loop_.env().limits.header_timeout;
    work_ = loop_.workspaces().lend();
}

connection::~connection()
{
    if (work_) loop_.workspaces().give_back(std::move(work_));
    loop_.left(*this);
}

lifecycle::awaitable<> connection::run()
{
    for (;;) {
        switch (parse()) {
            case request_parser::progress::complete:
                co_await answer();
                if (!ending_ && work_->out.size() > workspace::usual_output) co_await flush();
                break;
            case request_parser::progress::refused: refuse(work_->parser.refusal()); break;
            case request_parser::progress::need_more:
                if (refuse_early()) break;
                if (!flush_now()) co_await flush();
                if (!broken_) {
                    const bool bytes_came = co_await receive();
                    ending_ = ending_ || !bytes_came;
                }
                break;
        }
        if (ending_ || broken_) break;
    }
    co_await goodbye();
}

request_parser::progress connection::parse()
{
    if (!work_ || work_->buffered() == 0) return request_parser::progress::need_more;
    return work_->parser.next(work_->data(), work_->buffered());
}

void connection::enter(state next, clock::time_point deadline)
{
    const bool was_waiting = waits_for_request();
    state_ = next;
    since_ = clock::now();
    deadline_ = deadline;
    if (was_waiting != waits_for_request() || waits_for_request()) loop_.moved(*this, was_waiting, waits_for_request());
}

// ── reading ─────────────────────────────────────────────────────────────────────────────────────

/// The deadline of a head or a body is for the whole of it: set once, not moved by a byte that trickles in.
void connection::enter_reading()
{
    const auto& limits = loop_.env().limits;
    const bool begun = work_ && work_->parser.begun();
    if (!begun) {
        if (served_ > 0 && state_ != state::idle) enter(state::idle, clock::now() + limits.idle_timeout);
        return;
    }
    worked_during_stop_ = worked_during_stop_ || loop_.stopping();
    if (work_->parser.head_done()) {
        if (state_ != state::body) enter(state::body, clock::now() + limits.body_timeout);
    }
    else if (state_ != state::head) {
        enter(state::head, served_ == 0 ? deadline_ : clock::now() + limits.header_timeout);
    }
}

/// Waits for bytes and takes them. False: there will be none, the connection is to end.
lifecycle::awaitable<bool> connection::receive()
{
    enter_reading();
    for (;;) {
        if (!work_) {
            co_await wait_without_workspace();
        }
        else {
            if (work_->room() == 0) work_->make_room();
            const auto room = asio::buffer(work_->input.get() + work_->end, work_->room());
            auto reading = socket_.async_read_some(room, quietly);
            const auto [error, count] = co_await std::move(reading);
            work_->end += count;
            if (count > 0 && interrupt_ != interrupt::cut) {
                interrupt_ = interrupt::none;  // it came too late
                co_return true;
            }
            if (error != asio::error::operation_aborted) co_return false;  // the client has closed, or is gone
        }
        if (broken_) co_return false;
        if (interrupt_ == interrupt::none) continue;
        bool go_on = true;
        if (handle_interrupt(go_on)) co_return go_on;
    }
}

/// A connection that rests owns no buffer: the kernel tells when there is something to read.
lifecycle::awaitable<> connection::wait_without_workspace()
{
    auto waiting = socket_.async_wait(stream_socket::wait_read, quietly);
    const auto [error] = co_await std::move(waiting);
    if (error && error != asio::error::operation_aborted) broken_ = true;
    if (!error) work_ = loop_.workspaces().lend();
}

/// What the tick wanted, done here, on the coroutine that owns the reading: a read that the tick found
/// pending may have taken bytes in the meantime, and then it has not been interrupted at all.
/// True: `receive` returns `go_on`.
bool connection::handle_interrupt(bool& go_on)
{
    const auto why = std::exchange(interrupt_, interrupt::none);
    switch (why) {
        case interrupt::none: return false;
        case interrupt::rest:
            if (work_ && !work_->parser.begun()) loop_.workspaces().give_back(std::move(work_));
            return false;
        case interrupt::look:
            // The look and the shutdown are adjacent: what arrives before it is served, what arrives
            // after it finds a closed connection. One loop turn in between lost requests.
            go_on = bytes_are_there();
            if (!go_on) {
                ::shutdown(descriptor(), SHUT_WR);
                broken_ = true;
            }
            return true;
        case interrupt::expired:
            go_on = bytes_are_there();
            if (!go_on) refuse(http::status::request_timeout);
            return true;
        case interrupt::cut:
            broken_ = true;
            go_on = false;
            return true;
    }
    return false;
}

/// Takes what has arrived, without waiting.
bool connection::bytes_are_there()
{
    if (!work_) work_ = loop_.workspaces().lend();
    if (work_->room() == 0) work_->make_room();
    const auto count = ::recv(descriptor(), work_->input.get() + work_->end, work_->room(), MSG_DONTWAIT);
    if (count > 0) work_->end += static_cast<std::size_t>(count);
    return count > 0;
}

// ── answering ───────────────────────────────────────────────────────────────────────────────────

void connection::begin_request()
{
    auto& request = work_->parser.request();
    const auto sound = [](std::string_view id) {
        return !id.empty() && id.size() <= 128 &&
               id.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-") == id.npos;
    };
    request.id = request.header("X-Request-Id");
    if (!sound(request.id)) request.id = loop_.make_request_id(work_->id);
    worked_during_stop_ = worked_during_stop_ || loop_.stopping();
    continued_ = told_ = false;
    ++served_;
}

/// `X-Request-Timeout: 300ms` shortens the deadline; none when the value is malformed.
static std::optional<milliseconds> requested_timeout(const request& request, milliseconds longest)
{
    const auto text = request.header("X-Request-Timeout");
    if (text.empty()) return longest;
    std::int64_t number = 0;
    const auto* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, number);
    const std::string_view unit(at, static_cast<std::size_t>(end - at));
    if (error != std::errc{} || number < 0 || number > 86'400'000) return std::nullopt;
    if (unit == "ms") return std::min(longest, milliseconds(number));
    if (unit == "s") return std::min(longest, milliseconds(number * 1'000));
    if (unit == "m") return std::min(longest, milliseconds(number * 60'000));
    return std::nullopt;
}

/// The answers that need no handler.
std::optional<response> connection::decide(const endpoint* to, bool in_time)
{
    if (to == nullptr) return loop_.env().routes.fallback(work_->parser.request());
    if (!in_time) return problem(http::status::bad_request);
    if (to->exempt || loop_.env().admit(loop_)) return std::nullopt;
    loop_.counts().refused.add();
    return std::move(problem(http::status::service_unavailable).set("Retry-After", "1"));
}

lifecycle::awaitable<> connection::answer()
{
    begin_request();
    auto& request = work_->parser.request();
    const auto* const to = loop_.env().routes.find(request);
    const auto timeout = requested_timeout(request, loop_.env().limits.request_timeout);
    const auto began = clock::now();
    enter(state::handling, began + timeout.value_or(milliseconds(0)));
    auto decided = decide(to, timeout.has_value());
    response reply;
    if (decided) {
        reply = std::move(*decided);
    }
    else {
        work_->scope.renew(deadline_);
        auto asking = ask(*to);
        reply = co_await std::move(asking);
        if (abandoned_) co_return;  // answered in its place: this one comes too late
    }
    const bool close = closes_after(reply);
    auto coding = body_coding::none;
    append_answer(reply, close, coding);
    account(to, reply, began);
    if (reply.pieces && coding != body_coding::none) {
        auto streaming = stream(std::move(reply), coding);
        co_await std::move(streaming);
    }
    if (close || coding == body_coding::until_close) ending_ = linger_ = true;
    work_->next_request();
}

/// Runs the handler. What it throws is a 500, a deadline that has passed a 504.
lifecycle::awaitable<response> connection::ask(const endpoint& to)
{
    auto& in_flight = loop_.metrics_of(to.index).in_flight;
    endpoint_ = &to;
    loop_.entering(to);
    loop_.counts().in_flight.add();
    in_flight.add();
    response reply;
    try {
        auto handling = to.handle(work_->scope.get(), work_->parser.request());
        reply = co_await std::move(handling);
        if (work_->scope.get().why() == cause::deadline) reply = problem(http::status::gateway_timeout);
    }
    catch (const std::exception& e) {
        loop_.env().log.error("{} failed: {} (request {})", to.name, e.what(), work_->parser.request().id);
        reply = problem(http::status::internal_server_error);
    }
    catch (...) {
        loop_.env().log.error("{} failed: not a std::exception", to.name);
        reply = problem(http::status::internal_server_error);
    }
    in_flight.subtract();
    loop_.counts().in_flight.subtract();
    endpoint_ = nullptr;
    co_return reply;
}

/// While the service stops, the connection ends with the last response of what has been received:
/// what is pipelined behind a `Connection: close` would be dropped.
bool connection::closes_after(const response& reply)
{
    if (!work_->parser.keep_alive() || reply.close || told_) return true;
    return loop_.stopping() && !more_behind();
}

bool connection::more_behind()
{
    if (work_->buffered() > work_->parser.consumed() || work_->room() == 0) return true;
    return bytes_are_there();
}

void connection::append_answer(const response& reply, bool close, body_coding& coding)
{
    const auto& request = work_->parser.request();
    framing how;
    how.version = request.version;
    how.head = request.method == http::verb::head;
    how.close = close;
    how.date = loop_.date();
    how.request_id = request.id;
    coding = append(reply, how, work_->out);
    count_answer();
}

void connection::account(const endpoint* to, const response& reply, clock::time_point began)
{
    loop_.counts().requests.add();
    auto& metrics = loop_.metrics_of(to != nullptr ? to->index : loop_.endpoints().size() - 1);
    const auto took = clock::now() - began;
    metrics.responses[std::min(5u, static_cast<unsigned>(reply.status) / 100)].add();
    metrics.duration.observe(took);
    if (!loop_.env().limits.access_log) return;
    const auto& request = work_->parser.request();
    loop_.env().log.info("access {} {} {} {} {}us {}", peer_.address().to_string(), request.method_name,
                         request.target, static_cast<unsigned>(reply.status),
                         std::chrono::duration_cast<std::chrono::microseconds>(took).count(), request.id);
}

/// A body that has not come yet and an answer that is known already: the client is not made to send it.
/// Also where 100 Continue is said, after the decision to read.
bool connection::refuse_early()
{
    if (!work_ || !work_->parser.head_done() || continued_) return false;
    continued_ = true;
    auto& request = work_->parser.request();
    const auto* const to = loop_.env().routes.find(request);
    const bool expects = work_->parser.expects_continue();
    const bool overloaded = to != nullptr && !to->exempt && !loop_.env().admit(loop_);
    if (overloaded || (expects && to == nullptr)) {
        const auto began = clock::now();
        begin_request();
        const auto reply = decide(to, true);
        auto coding = body_coding::none;
        if (reply) append_answer(*reply, true, coding);
        if (reply) account(to, *reply, began);
        ending_ = linger_ = true;
        return true;
    }
    if (expects) work_->out += "HTTP/1.1 100 Continue\r\n\r\n";
    return false;
}

/// One answer to what is not a request, and the end: where the next message begins is not known.
void connection::refuse(http::status code)
{
    if (!work_) work_ = loop_.workspaces().lend();
    loop_.counts().refused.add();
    framing how;
    how.close = true;
    how.date = loop_.date();
    append(problem(code), how, work_->out);
    count_answer();
    ending_ = linger_ = true;
}

// ── writing ─────────────────────────────────────────────────────────────────────────────────────

/// An answer that the end of the drain has brought about is not what the request was after.
void connection::count_answer() noexcept
{
    if (forced_)
        loop_.counts().requests_cut.add();
    else
        ++unflushed_;
}

void connection::answered() noexcept
{
    if (unflushed_ > 0 && loop_.stopping()) loop_.counts().requests_finished.add(unflushed_);
    unflushed_ = 0;
}

/// True when everything is in the socket.
bool connection::flush_now()
{
    if (!work_ || work_->out.empty()) return true;
    while (!work_->flushed()) {
        const auto count = ::send(descriptor(), work_->out.data() + work_->written,
                                  work_->out.size() - work_->written, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno != EAGAIN) broken_ = true;  // the client is gone: nobody is left to answer
        if (count < 0) return broken_;
        work_->written += static_cast<std::size_t>(count);
    }
    work_->out.clear();
    work_->written = 0;
    if (state_ != state::streaming) answered();
    return true;
}

lifecycle::awaitable<> connection::flush()
{
    while (!broken_ && !flush_now()) {
        const auto waits = state_ == state::streaming ? state::streaming : state::writing;
        enter(waits, clock::now() + loop_.env().limits.write_timeout);
        auto waiting = socket_.async_wait(stream_socket::wait_write, quietly);
        const auto [error] = co_await std::move(waiting);
        if (error || interrupt_ == interrupt::cut) broken_ = true;
    }
}

/// Asks for the next piece when the last one is in the socket: memory is bounded by one window.
lifecycle::awaitable<> connection::stream(response reply, body_coding coding)
{
    constexpr std::size_t window = 64 * 1024;
    constexpr std::size_t size_line = 10;  // of a chunk: 8 digits and CRLF
    auto left = reply.length.value_or(0);
    std::vector<char> piece(window);
    enter(state::streaming, clock::now() + loop_.env().limits.write_timeout);
    try {
        while (!broken_) {
            if (coding == body_coding::length && left == 0) break;
            const auto room = coding == body_coding::length ? std::min<std::uint64_t>(window, left) : window - size_line;
            auto asking = reply.pieces(std::span(piece.data(), static_cast<std::size_t>(room)));
            const std::size_t count = co_await std::move(asking);
            if (broken_ || interrupt_ == interrupt::cut) break;
            if (count == 0) break;
            left -= coding == body_coding::length ? count : 0;
            if (coding == body_coding::chunked) fmt::format_to(std::back_inserter(work_->out), "{:x}\r\n", count);
            work_->out.append(piece.data(), count);
            if (coding == body_coding::chunked) work_->out += "\r\n";
            deadline_ = clock::now() + loop_.env().limits.write_timeout;
            if (!flush_now()) co_await flush();
        }
        if (coding == body_coding::chunked && interrupt_ != interrupt::cut) work_->out += "0\r\n\r\n";
    }
    catch (const std::exception& e) {
        loop_.env().log.error("a response was cut: {}", e.what());
        left = 1;
        broken_ = true;
    }
    if (coding == body_coding::length && left > 0) broken_ = true;  // less than was promised: cut visibly
    if (interrupt_ == interrupt::cut) broken_ = true;
    enter(state::writing, clock::now() + loop_.env().limits.write_timeout);
}

/// RFC 9112 section 9.6: half-close, read on until the client has closed, then close; a plain close
/// with unread bytes resets the connection and takes the response with it.
lifecycle::awaitable<> connection::goodbye()
{
    if (!broken_ && !flush_now()) co_await flush();
    boost::system::error_code ignored;
    if (!broken_ && linger_) {
        socket_.shutdown(stream_socket::shutdown_send, ignored);
        enter(state::lingering, clock::now() + longest_linger);
        for (;;) {
            const auto into = asio::buffer(loop_.scratch().data(), loop_.scratch().size());
            auto reading = socket_.async_read_some(into, quietly);
            const auto [error, count] = co_await std::move(reading);
            if (error || interrupt_ != interrupt::none) break;
        }
    }
    if (unflushed_ > 0 && loop_.stopping()) (forced_ ? loop_.counts().requests_cut : loop_.counts().requests_finished).add(unflushed_);
    socket_.close(ignored);
}

// ── what the tick does ──────────────────────────────────────────────────────────────────────────

void connection::stop_waiting(interrupt why)
{
    interrupt_ = why;
    boost::system::error_code ignored;
    socket_.cancel(ignored);
}

void connection::rest()
{
    if (waits_for_request() && work_ && interrupt_ == interrupt::none) stop_waiting(interrupt::rest);
}

void connection::look_and_close()
{
    if (waits_for_request()) stop_waiting(interrupt::look);
}

void connection::client_gone()
{
    if (!told_ && state_ == state::handling && !abandoned_) work_->scope.cancel(cause::client_gone);
}

void connection::expire(clock::time_point now)
{
    switch (state_) {
        case state::fresh:
        case state::idle: look_and_close(); break;
        case state::head:
        case state::body: stop_waiting(interrupt::expired); break;
        case state::handling:
            if (abandoned_) break;
            if (told_) {
                answer_in_place_of_handler(http::status::gateway_timeout);
                break;
            }
            told_ = true;
            deadline_ = now + grace_after_deadline;
            work_->scope.cancel(cause::deadline);
            break;
        case state::writing:
        case state::streaming: cut(); break;
        case state::lingering: stop_waiting(interrupt::cut); break;
    }
}

void connection::force(clock::time_point now)
{
    switch (state_) {
        case state::fresh:
        case state::idle: look_and_close(); break;
        case state::head:
        case state::body:
            forced_ = true;
            stop_waiting(interrupt::expired);
            break;
        case state::handling:
            if (abandoned_) break;
            if (forced_) {
                answer_in_place_of_handler(http::status::service_unavailable);
                break;
            }
            forced_ = told_ = true;
            deadline_ = now + grace_after_deadline;
            work_->scope.cancel(cause::shutdown);
            break;
        case state::writing:
        case state::streaming:
            forced_ = true;
            cut();
            break;
        case state::lingering: break;
    }
}

void connection::cut()
{
    if (state_ == state::handling && !abandoned_) {
        told_ = true;
        work_->scope.cancel(cause::shutdown);
        broken_ = true;
    }
    stop_waiting(interrupt::cut);
}

/// Straight to the socket, behind what is already due; the handler's own answer will be dropped. The
/// buffer stays pinned until it has returned.
void connection::answer_in_place_of_handler(http::status code)
{
    abandoned_ = ending_ = true;
    loop_.straggles(*this);
    framing how;
    how.version = work_->parser.request().version;
    how.close = true;
    how.date = loop_.date();
    how.request_id = work_->parser.request().id;
    append(problem(code), how, work_->out);
    count_answer();
    const bool sent = flush_now() && !broken_;
    if (!sent) broken_ = true;
    boost::system::error_code ignored;
    socket_.shutdown(stream_socket::shutdown_send, ignored);
    // Unread bytes would turn the close at the exit into a reset that takes the answer with it.
    for (int reads = 0; reads < 64; ++reads)
        if (::recv(descriptor(), loop_.scratch().data(), loop_.scratch().size(), MSG_DONTWAIT) <= 0) break;
}

bool connection::all_acknowledged() const noexcept
{
    int waiting = 0;
    auto& socket = const_cast<stream_socket&>(socket_);
    return ::ioctl(socket.native_handle(), SIOCOUTQ, &waiting) == 0 && waiting == 0;
}

std::string connection::describe() const
{
    return endpoint_ != nullptr ? endpoint_->name : "connection";
}

std::source_location connection::waits_at() const noexcept
{
    return work_ && state_ == state::handling ? work_->scope.get().waits_at() : std::source_location{};
}

}  // namespace server
