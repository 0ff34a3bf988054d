#include "server/http1/sending.hpp"
#include "server/forget.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>

namespace server {

using lifecycle::clock;

namespace {

/// Bytes around a chunk as large as a window, nearly: "fff8\r\n" and "\r\n". With them it is as long as a window, which
/// is whole records of TLS: else each is followed by one of nine bytes, with a send(2) of its own.
constexpr std::size_t around_chunk = 8;

void append_chunk(std::string& to, std::string_view piece) {
    std::array<char, 2 * sizeof(std::size_t) + 2> size;
    auto* end = std::to_chars(size.data(), size.data() + size.size() - 2, piece.size(), 16).ptr;
    *end++ = '\r';
    *end++ = '\n';
    to.append(size.data(), end).append(piece).append("\r\n");
}

}  // namespace

void http1_sending::blocked(std::size_t unacknowledged, const moment& at) {
    switch (phase_) {
        // The answers before this one do not go out; the handler need not wait for that.
        case phase::handle: flags_.stuck = true; return;
        case phase::abandon:
        case phase::cut_stream: flags_.broken = true; return;
        default: break;
    }
    assert(phase_ == phase::flush || phase_ == phase::farewell);
    waits_ = waiting::room;
    // The deadline runs from the first time that the socket was full: a reader that takes a little now and then must
    // not begin it again.
    if (std::exchange(flags_.blocked, true) || state_ == state::streaming) return;
    enter(state::writing, {}, at);
    watch_reader(unacknowledged, at);
}

void http1_sending::writable() noexcept {
    if (waits_ == waiting::room) waits_ = waiting::nothing;
}

void http1_sending::lost() noexcept {
    flags_.broken = true;
    left_over_ = request_end::gone;
    if (work_) work_->current.left = true;
    if (work_ && !work_->flushed()) end_ = {'C', 'D'};
}

/// From here on counts what the client takes of a response: what its kernel has acknowledged, for a socket is writable
/// again only when a third of its buffer is free.
void http1_sending::watch_reader(std::size_t unacknowledged, const moment& at) noexcept {
    deadline_ = at.now + limits().write_timeout;
    // Of a layer there is more in the socket, and a UNIX socket counts what its memory takes.
    taken_ = sent_ - std::min<std::uint64_t>(sent_, unacknowledged);
}

void http1_sending::measured(std::size_t unacknowledged, const moment& at) { watch_reader(unacknowledged, at); }

/// The client has taken enough of the response for another `write_timeout`.
bool http1_sending::reads_on(std::size_t unacknowledged, const moment& at) noexcept {
    const auto before = taken_;
    watch_reader(unacknowledged, at);
    return taken_ - before >= std::max<std::uint64_t>(1, least_bytes(limits().write_timeout));
}

// ── the body of a stream ────────────────────────────────────────────────────────────────────────

/// Asks for the next piece when the last one is in the socket: memory is bounded by one window.
void http1_sending::begin_stream(const moment& at) {
    enter(state::streaming, at.now + limits().write_timeout, at);
    ask(step::measure);
    if (work_->coding == body_coding::until_close) ask(step::arm_reset);  // also when the process ends in the middle
    flags_.failed = flags_.cut = flags_.ended = false;
    if (work_->current.was_told()) ++changes_.told;  // before it was a stream
    // What was promised in the head: a source that gives less must not look whole.
    work_->left = work_->current.reply.length.value_or(0);
    work_->current.piece = work_->current.reply.body.size();
    go(phase::add_piece);
}

void http1_sending::add_piece() {
    const auto count = work_->current.piece;
    if (count == 0 || flags_.broken) return close_stream();
    assert(count <= work_->current.reply.body.size() && "a source gives no more than it has room for");
    if (work_->coding == body_coding::length) work_->left -= count;
    const auto piece = std::string_view(work_->current.reply.body).substr(0, count);
    if (work_->coding == body_coding::chunked)
        append_chunk(work_->out, piece);
    else
        work_->out += piece;
    flush_then(phase::ask_piece);
}

auto http1_sending::ask_piece(const moment& at) -> std::optional<step> {
    const bool has_length = work_->coding == body_coding::length;
    if (flags_.broken || flags_.ended || (has_length && work_->left == 0)) {
        close_stream();
        return std::nullopt;
    }
    // The reader's time stands still while the source works: the two have deadlines of their own.
    work_->time_of_reader = deadline_ - at.now;
    waits_ = waiting::piece;
    deadline_ = at.now + limits().write_timeout;  // a source may stand still as long
    if (work_->current.reply.texts) {
        deadline_ = clock::time_point::max();  // and this one for ever
        forget(work_->current.reply.body, 0);
        return step::ask_piece;
    }
    const auto most = work_->coding == body_coding::chunked ? response::window - around_chunk : response::window;
    work_->current.reply.body.resize(has_length ? std::min<std::uint64_t>(work_->left, most) : most);
    return step::ask_piece;
}

void http1_sending::piece_came(const moment& at) {
    assert(waits_ == waiting::piece);
    auto& current = work_->current;
    waits_ = waiting::nothing;
    deadline_ = at.now + work_->time_of_reader;
    flags_.failed = std::exchange(current.thrown, nullptr) != nullptr;
    if (flags_.failed || flags_.cut) return close_stream();
    go(phase::add_piece);  // also what it has said at the end
}

/// What was cut must not look whole. Clients take a body without a length for whole when a FIN ends it, and so do some
/// when it has one or comes in chunks: a reset is what all of them understand. In front of it a line that is no chunk
/// size, for proxies that pass on what they have read before they see the reset.
void http1_sending::close_stream() {
    const bool too_short = work_->coding == body_coding::length && work_->left > 0;  // than was promised
    const bool whole = !flags_.failed && !too_short && !flags_.broken && !flags_.cut;
    if ((flags_.failed || too_short) && !flags_.cut && !flags_.broken) end_ = {'S', 'D'};
    flags_.told_end = work_->current.was_told();
    flags_.hurries = work_->current.can_end();
    if (!whole) count_end(false);
    if (work_->coding == body_coding::chunked && !flags_.broken) work_->out += whole ? "0\r\n\r\n" : "response cut\r\n";
    go(whole ? phase::end_stream : phase::cut_stream);
}

/// One whose client has left is among the requests that are `gone`.
void http1_sending::count_told(bool whole) noexcept {
    if (whole)
        ++(flags_.ended ? changes_.ended_by_us : changes_.ended);
    else if (!work_->current.left)
        ++changes_.cut_stream;
}

void http1_sending::end_stream(const moment& at) {
    if (work_->current.serving && at.stopping)
        work_->last = true;  // else clients come back on it, to a process that has gone
    if (flags_.broken)
        ask(step::arm_reset);
    else if (work_->coding == body_coding::until_close)
        ask(step::disarm_reset);
    enter(state::writing, at.now + limits().write_timeout, at);
    go(phase::finish);
}

}  // namespace server
