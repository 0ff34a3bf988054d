// How a connection answers: the request, its handler, the response.

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <new>
#include <stdexcept>
#include <utility>

#include "server/connection.hpp"
#include "server/loop.hpp"

namespace server {

using lifecycle::cause;
using lifecycle::clock;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds retry_after{1'000};
constexpr milliseconds favour{2'000};  // so long whoever has waited may use the last places

}  // namespace

void connection::begin_request() {
    auto& request = work_->parser.request();
    request.id = work_->parser.request_id();
    if (!is_sound_id(request.id)) request.id = loop_.make_request_id(work_->id);
    if (work_->parser.has_traceparent()) {
        std::array<char, 16> span;
        request.trace = continue_trace(request, loop_.make_request_id(span));
    }
    request.peer = peer_;
    worked_during_stop_ = worked_during_stop_ || loop_.stopping();
    continued_ = told_ = late_ = false;
    ++served_;
}

/// `X-Request-Timeout: 300ms` shortens the deadline; none when the value is malformed.
static std::optional<milliseconds> requested_timeout(std::string_view text, milliseconds longest) {
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

/// A place goes to whoever asks at the moment when it becomes free, so a client that waits behind a 503 as long as it
/// was told would never meet one. In a crowd the last places are for those who have waited, and for newcomers.
bool connection::has_place() {
    if (refused_at_ != clock::time_point{} && now_ - refused_at_ >= retry_after) favoured_until_ = now_ + favour;
    refused_at_ = {};
    if (loop_.env().admit(loop_, !loop_.crowded() || served_ <= 1 || now_ < favoured_until_)) return true;
    loop_.refused(now_);
    refused_at_ = now_;
    return false;
}

/// A handler that does not decode it would take the bytes of a compressed body for the body.
bool connection::comes_encoded(const endpoint* to, bool has_body) const {
    return has_body && to != nullptr && !to->decodes && !work_->parser.request().content_coding().empty();
}

/// Answers what needs no handler. False: a handler is to be asked.
bool connection::decide(const endpoint* to, bool in_time) {
    auto& reply = work_->reply;
    if (to == nullptr) {
        reply = loop_.env().routes.fallback(work_->parser.request());
        if (reply.status == http::status::not_found) refused_by(rule::route);
        if (reply.status == http::status::method_not_allowed) refused_by(rule::route_method);
        if (reply.status == http::status::not_implemented) refused_by(rule::method);
    } else if (!in_time) {
        refused_by(rule::timeout_field);
        reply = problem(http::status::bad_request);
    } else if (comes_encoded(to, !work_->parser.request().body.empty())) {
        refuse_coding();
    } else if (to->exempt || has_place()) {
        return false;
    } else {
        turn_away();
    }
    return true;
}

/// RFC 9110 section 15.5.16: what would have been taken is said by Accept-Encoding.
void connection::refuse_coding() {
    refused_by(rule::content_encoding);
    work_->reply = std::move(problem(http::status::unsupported_media_type).set("Accept-Encoding", "identity"));
}

void connection::turn_away() {
    refused_by(rule::max_in_flight);
    work_->reply = std::move(problem(http::status::service_unavailable).set("Retry-After", "1"));
}

/// True: the reply is there. False: the handler of `endpoint_` is to be asked, and is counted as running.
bool connection::begin_answer() {
    begin_request();
    auto& request = work_->parser.request();
    const auto* const to = loop_.env().routes.find(request);
    const auto timeout = requested_timeout(work_->parser.request_timeout(), limits().request_timeout);
    enter(state::handling, now_ + timeout.value_or(milliseconds(0)));
    endpoint_ = to;
    if (decide(to, timeout.has_value())) return true;
    request.route = to->name;
    if (to->handle.as_plain() == nullptr) send_earlier_answers();
    work_->scope.renew(deadline_);
    loop_.entering(to);
    loop_.counts().in_flight.add();
    loop_.metrics_of(to->index).in_flight.add();
    return false;
}

/// What comes next may wait, and they are not to wait with it.
void connection::send_earlier_answers() {
    if (!work_->flushed() && !std::exchange(flush_asked_, true)) loop_.flush_soon(*this);
}

/// A response that is streamed, to somebody who wants its body.
bool connection::streams() const noexcept {
    return work_->reply.pieces && work_->parser.request().method != http::verb::head;
}

/// While a streamed response may still become another: its first piece. Who fails here is a 500.
lifecycle::awaitable<> connection::fetch_first_piece() {
    auto& reply = work_->reply;
    reply.body.resize(std::min<std::uint64_t>(response::window, reply.length.value_or(response::window)));
    if (reply.body.empty()) co_return;
    send_earlier_answers();
    auto asking = reply.pieces(std::span(reply.body));
    const std::size_t count = co_await std::move(asking);
    if (count == 0 && reply.length) throw std::runtime_error("the source of its response is empty");
    reply.body.resize(count);
}

/// "request …, trace …", for the lines of the log that are about this request.
std::string connection::identity() const {
    const auto& request = work_->parser.request();
    return fmt::format("request {}{}{}", request.id, request.trace ? ", trace " : "", request.trace.id());
}

/// What the handler has thrown is a 500. Called where it has been caught.
void connection::reply_to_failure() {
    now_ = clock::now();
    auto& reply = work_->reply;
    refused_by(rule::handler);
    try {
        loop_.env().log.error("{} failed: {} ({})", endpoint_->name, what_was_thrown(), identity());
        reply = problem(http::status::internal_server_error);
    } catch (const std::bad_alloc&) {  // then without a text
        reply = {};
        reply.status = http::status::internal_server_error;
        reply.close = true;
    }
}

/// Called where it has been caught.
std::string connection::what_was_thrown() {
    try {
        throw;
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "not a std::exception";
    }
}

/// A deadline that has passed is a 504. As long as nobody has told the context of it, the clock is all there is to it.
void connection::refuse_late_reply() {
    now_ = clock::now();
    if ((told_ || now_ >= deadline_) && work_->scope.get().why() == cause::deadline) {
        refused_by(rule::request_timeout);
        work_->reply = problem(http::status::gateway_timeout);
    }
}

void connection::leave_handler() noexcept {
    loop_.metrics_of(endpoint_->index).in_flight.subtract();
    loop_.counts().in_flight.subtract();
}

void connection::handler_returned() {
    leave_handler();
    if (now_ > loop_.stands_still_after()) loop_.held_up_by(*this);
    if (const auto& observe = loop_.env().routes.observe) observe(*this, work_->reply.status, true);
}

/// While the service stops the connection ends with the last response of what has been received: what is pipelined
/// behind a `Connection: close` would be dropped.
bool connection::closes_after(const response& reply) {
    if (!work_->parser.keep_alive() || reply.close || told_) return true;
    const auto most = limits().max_requests;
    if (most > 0 && served_ >= most) return !still_due(served_ == most);
    return loop_.stopping() && !more_behind();
}

/// The limit of requests is reached: what has come by then is answered, and nothing that comes later, or a client
/// that keeps its pipeline full would never be behind its last request.
bool connection::still_due(bool first) {
    if (first && more_behind()) due_ = work_->buffered();
    due_ -= std::min(due_, work_->parser.consumed());
    return due_ > 0;
}

bool connection::more_behind() {
    if (work_->buffered() > work_->parser.consumed() || work_->room() == 0) return true;
    return bytes_are_there();
}

framing connection::framing_of(const request& to, bool close) const {
    return {.version = to.version,
            .head = to.method == http::verb::head,
            .close = close,
            .date = loop_.date(),
            .request_id = to.id,
            .keep_alive = limits().keep_alive_hint};
}

/// Whoever is refused by a stop comes back, here or to another replica: a second later, and never at once.
void connection::say_when_to_return(response& reply) const {
    if (reply.status != http::status::service_unavailable || !loop_.stopping()) return;
    if (!reply.has("Retry-After")) reply.set("Retry-After", "1");
}

void connection::append_answer() {
    const auto& request = work_->parser.request();
    auto& reply = work_->reply;
    say_when_to_return(reply);
    const auto how = framing_of(request, closes_after(reply));
    work_->coding = append(reply, how, work_->out);
    work_->last = how.close || work_->coding == body_coding::until_close;
    count_answer();
    account(reply);
}

/// What the client has brought about itself is no fault of ours: it has gone, or the deadline was the one that it set.
std::size_t connection::class_of(const response& reply) const {
    if (work_->scope.get().why() == cause::client_gone && endpoint_ != nullptr) return 0;
    if (set_the_deadline(reply)) return 4;
    return std::min(5u, static_cast<unsigned>(reply.status) / 100);
}

bool connection::set_the_deadline(const response& reply) const {
    if (reply.status != http::status::gateway_timeout) return false;
    const auto longest = limits().request_timeout;
    return requested_timeout(work_->parser.request_timeout(), longest).value_or(longest) < longest;
}

/// The answer is on its way, and the next request may be looked at.
void connection::next_request() {
    if (const auto& observe = loop_.env().routes.observe) observe(*this, work_->reply.status, false);
    if (work_->last) {
        ending_ = true;
        // RFC 9112 section 9.6: a client that has said close sends nothing more, and then a close(2) resets nothing.
        linger_ = work_->parser.keep_alive() || more_behind();
        end_ = {loop_.stopping() ? 'D' : '-', '-'};
    }
    endpoint_ = nullptr;
    loop_.entering(nullptr);
    work_->next_request();
}

/// A body that has not come yet and an answer that is known already: the client is not made to send it.
/// Also where 100 Continue is said, after the decision to read.
bool connection::refuse_early() {
    if (!work_ || !work_->parser.head_done() || continued_) return false;
    continued_ = true;
    auto& request = work_->parser.request();
    const auto* const to = loop_.env().routes.find(request);
    const bool expects = work_->parser.expects_continue();
    // Not whole and not chunked, so a body is due; a chunked one may turn out to be empty.
    const bool encoded = comes_encoded(to, request.header(http::field::transfer_encoding).empty());
    const bool overloaded = !encoded && to != nullptr && !to->exempt && !has_place();
    if (overloaded || encoded || (expects && to == nullptr)) {
        begin_request();
        endpoint_ = to;
        since_ = now_;
        if (encoded)
            refuse_coding();
        else
            overloaded ? turn_away() : static_cast<void>(decide(to, true));
        work_->reply.close = true;
        append_answer();
        ending_ = linger_ = sends_on_ = true;
        return true;
    }
    if (expects)
        work_->out += "HTTP/1.1 100 Continue\r\n\r\n";
    else
        acknowledge_now();
    return false;
}

/// A client that has sent the head alone holds the body back until that is acknowledged (Nagle, RFC 1122 section
/// 4.2.3.4), and the kernel waits 40 ms for an answer that the acknowledgement could go with. There will be none.
void connection::acknowledge_now() {
    const int on = 1;
    ::setsockopt(descriptor(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);  // tcp(7); not permanent
}

/// One answer to what is not a request, and the end: where the next message begins is not known.
void connection::refuse(rule by, ending_letters end) {
    if (!work_) work_ = loop_.workspaces().lend();
    if (served_ == 0 && !work_->parser.head_done()) {
        const auto other = looks_like({work_->data(), work_->buffered()});
        if (other != rule::none) loop_.meets(other, peer_);
        by = other != rule::none ? other : by;
    }
    const bool late = end.who != 'P';
    const auto code = late ? http::status::request_timeout : status_of(by);
    refused_by(by);
    end_ = end;
    append(problem(code), framing_of({}, true), work_->out);
    count_answer();
    log_refusal(by, code);
    ending_ = linger_ = sends_on_ = true;
}

}  // namespace server
