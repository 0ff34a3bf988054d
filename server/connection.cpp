#include "server/connection.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <new>
#include <utility>

#include "server/loop.hpp"

namespace server {

namespace asio = boost::asio;
using lifecycle::clock;

std::string_view to_string(connection::state state) noexcept {
    constexpr std::array<std::string_view, connection_states> names{
        "fresh", "idle", "reading head", "reading body", "handling", "writing", "streaming", "lingering"};
    return names[static_cast<std::size_t>(state)];
}

connection::connection(loop& on, stream_socket socket, asio::ip::tcp::endpoint peer)
    : task("connection", "connection"), loop_(on), socket_(std::move(socket)), peer_(peer) {
    since_ = now_ = clock::now();
    deadline_ = since_ + limits().header_timeout;
    work_ = loop_.workspaces().lend();
}

connection::~connection() {
    const auto left = unflushed_ + (counted_ ? 1U : 0U);
    if (left > 0) loop_.requests_ended(forced_ ? request_end::cut : left_over_, left);
    if (work_) loop_.workspaces().give_back(std::move(work_));
    loop_.left(*this);
}

/// Is given back however the coroutine ends, also when it is destroyed.
struct connection::place_in_handler {
    connection& whose;
    bool held = false;
    ~place_in_handler() {
        if (held) whose.leave_handler();
    }
};

// Handlers and reads are awaited here and not in coroutines between: those would cost each request a frame.
lifecycle::awaitable<> connection::run() {
    place_in_handler in_handler{*this};
    try {
        for (;;) {
            switch (parse()) {
                case request_parser::progress::complete:
                    if (!begin_answer()) {
                        in_handler.held = true;
                        try {
                            if (const auto* const plain = endpoint_->handle.as_plain()) {
                                work_->reply = (*plain)(work_->scope.get(), work_->parser.request());
                            } else {
                                auto handling = endpoint_->handle(work_->scope.get(), work_->parser.request());
                                work_->reply = co_await std::move(handling);
                            }
                            if (streams()) {
                                auto fetching = fetch_first_piece();
                                co_await std::move(fetching);
                            }
                            refuse_late_reply();
                        } catch (...) {
                            reply_to_failure();
                        }
                        in_handler.held = false;
                        handler_returned();
                        if (abandoned_) break;  // answered in its place: this one comes too late
                    }
                    append_answer();
                    if (work_->reply.pieces && work_->coding != body_coding::none) {
                        auto streaming = stream();
                        co_await std::move(streaming);
                    }
                    next_request();
                    if (!ending_ && work_->out.size() > workspace::usual_output) co_await flush();
                    if (loop_.crowded() && !ending_ && !broken_ && work_->buffered() > 0) co_await step_back();
                    break;
                case request_parser::progress::refused: refuse(work_->parser.refused_by(), {'P', 'R'}); break;
                case request_parser::progress::need_more:
                    if (refuse_early()) break;
                    if (!flush_now()) co_await flush();
                    if (!broken_) begin_reading();
                    while (wants_bytes()) {
                        const auto room = asio::buffer(work_->input + work_->end, work_->welcome());
                        auto reading = socket_.async_read_some(room, lifecycle::quietly);
                        const auto [error, count] = co_await std::move(reading);
                        received(error, count);
                    }
                    if (resting_) co_return rest();
                    break;
            }
            if (ending_ || broken_) break;
        }
        co_await goodbye();
        co_return;
    } catch (const std::exception& e) {
        fail(e.what());
    }
    // Not at once: when its first turn is its last, Asio needs memory to end it.
    auto turn = asio::post(socket_.get_executor(), lifecycle::quietly);
    co_await std::move(turn);
}

/// It has found no memory, most likely: its client and its request pay for that, and nobody else.
void connection::fail(const char* why) noexcept {
    resting_ = false;
    broken_ = true;
    left_over_ = request_end::cut;
    boost::system::error_code ignored;
    socket_.close(ignored);
    loop_.lost_connection(why);
}

request_parser::progress connection::parse() {
    if (!work_ || work_->buffered() == 0) return request_parser::progress::need_more;
    if (!work_->parser.begun()) work_->go_by(loop_.limits());
    const auto progress = work_->parser.next(work_->data(), work_->buffered());
    if (!counted_ && work_->parser.begun()) {
        counted_ = true;
        loop_.request_began();
    }
    return progress;
}

/// There are requests that find no place: before this connection takes its next one, those who ask get their turn.
/// The first turn is for what the loop has to do, the second for what the kernel has brought meanwhile.
lifecycle::awaitable<> connection::step_back() {
    if (!flush_now()) co_await flush();
    enter(state::head, now_ + limits().header_timeout);
    for (int turns = 0; turns < 2; ++turns) {
        auto turn = asio::post(socket_.get_executor(), lifecycle::quietly);
        co_await std::move(turn);
    }
    now_ = clock::now();
    broken_ = broken_ || interrupt_ == interrupt::cut;
    interrupt_ = interrupt::none;
}

void connection::enter(state next, clock::time_point deadline) {
    const bool was_waiting = waits_for_request();
    state_ = next;
    since_ = now_;
    deadline_ = deadline;
    if (was_waiting != waits_for_request() || waits_for_request()) loop_.moved(*this, was_waiting, waits_for_request());
}

// ── reading ─────────────────────────────────────────────────────────────────────────────────────

/// The deadline of a head or a body is for the whole of it: set once, not moved by a byte that trickles in.
void connection::enter_reading() {
    const auto& limits = this->limits();
    const bool begun = work_ && work_->parser.begun();
    if (!begun) {
        if (served_ > 0 && state_ != state::idle) enter(state::idle, now_ + limits.idle_timeout);
        return;
    }
    worked_during_stop_ = worked_during_stop_ || loop_.stopping();
    if (work_->parser.head_done()) {
        if (state_ == state::body) return;
        const auto first_look = limits.min_data_rate > 0 ? limits.data_rate_grace : limits.body_timeout;
        enter(state::body, now_ + std::min(first_look, limits.body_timeout));
        received_ = work_->buffered();
    } else if (state_ != state::head) {
        enter(state::head, served_ == 0 ? deadline_ : now_ + limits.header_timeout);
    }
}

/// Before the first of the reads that wait for bytes.
void connection::begin_reading() {
    fed_ = false;
    enter_reading();
    if (std::exchange(late_, false)) {  // the last look has not made it whole
        const auto by = work_ && work_->parser.head_done() ? rule::body_timeout : rule::header_timeout;
        return refuse(forced_ ? rule::drain : by, {forced_ ? 'K' : 'T', 'R'});
    }
    if (!work_) return handle_interrupt();
    interrupt_ = interrupt::none;  // it came too late
    if (state_ == state::idle && !std::exchange(woken_, false) && loop_.workspaces().many_lent())
        loop_.workspaces().give_back(std::move(work_));
}

/// True: a read is to wait for bytes. False: some have come, or there will be none, or the connection is to rest.
bool connection::wants_bytes() {
    if (fed_ || ending_ || broken_) return false;
    resting_ = !work_;
    if (resting_) return false;
    if (work_->room() == 0) work_->make_room();
    return true;
}

void connection::received(const boost::system::error_code& error, std::size_t count) {
    now_ = clock::now();
    work_->end += count;
    received_ += count;
    if (count > 0 && interrupt_ != interrupt::cut) {
        fed_ = true;
    } else if (error != asio::error::operation_aborted) {  // the client has closed, or is gone
        end_ = {'C', work_->parser.begun() ? 'R' : 'I'};
        left_over_ = request_end::gone;
        ending_ = true;
    } else {
        handle_interrupt();
    }
}

/// A connection that rests owns no buffer and no coroutine: the kernel tells when there is something to read.
void connection::rest() {
    auto wake = [this](boost::system::error_code error) {
        resting_ = false;
        if (error && error != asio::error::operation_aborted) broken_ = true;
        woken_ = !error && interrupt_ == interrupt::none;
        now_ = clock::now();
        try {
            if (woken_) work_ = loop_.workspaces().lend();
        } catch (const std::bad_alloc& e) {
            fail(e.what());
            return loop_.drop(*this);
        }
        loop_.resume(*this);
    };
    socket_.async_wait(stream_socket::wait_read,
                       asio::bind_allocator(lifecycle::operation_allocator<void>(), std::move(wake)));
}

/// What the tick wanted, done here, on the coroutine that owns the reading: a read that the tick found
/// pending may have taken bytes in the meantime, and then it has not been interrupted at all.
void connection::handle_interrupt() {
    switch (std::exchange(interrupt_, interrupt::none)) {
        case interrupt::none: break;
        case interrupt::rest:
            if (work_ && !work_->parser.begun()) loop_.workspaces().give_back(std::move(work_));
            break;
        case interrupt::look:
            // The look and the shutdown are adjacent: what arrives before it is served, what arrives
            // after it finds a closed connection. One loop turn in between lost requests.
            fed_ = bytes_are_there();
            if (fed_) break;
            ::shutdown(descriptor(), SHUT_WR);
            broken_ = true;
            loop_.workspaces().give_back(std::move(work_));  // the next one to look needs no other
            break;
        case interrupt::expired:
            bytes_are_there();
            fed_ = true;  // `late_` lets nobody take one more turn for each byte that trickles in
            break;
        case interrupt::cut: broken_ = true; break;
    }
}

/// Takes what has arrived, without waiting.
bool connection::bytes_are_there() {
    if (!work_) work_ = loop_.workspaces().lend();
    if (work_->room() == 0) work_->make_room();
    const auto count = ::recv(descriptor(), work_->input + work_->end, work_->welcome(), MSG_DONTWAIT);
    if (count > 0) work_->end += static_cast<std::size_t>(count);
    return count > 0;
}

}  // namespace server
