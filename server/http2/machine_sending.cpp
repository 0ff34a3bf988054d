// What is sent: bodies, their pieces, and how a stream ends.

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "server/forget.hpp"
#include "server/http2/fields.hpp"
#include "server/http2/machine.hpp"

namespace server::http2 {

using lifecycle::clock;

namespace {

constexpr std::size_t smallest_piece = 8 * 1024;
/// Of a frame of DATA, at most. With its head it is as long as the longest record of TLS (RFC 8446 section 5.1), and
/// what is written at a time is whole records: else each is followed by one of a few bytes, with a send(2) of its own.
constexpr std::size_t longest_data = 16 * 1024 - 9;

/// A reset that the client has made nghttp2 send, by a frame that its stream does not allow; ours have other codes.
/// Those that it does not read are bounded too: a stream counts as alive until its reset has been sent.
bool is_fault(std::uint32_t code) noexcept {
    return code != NGHTTP2_NO_ERROR && code != NGHTTP2_INTERNAL_ERROR && code != NGHTTP2_CANCEL;
}

}  // namespace

/// nghttp2 takes some of a body, as the windows allow.
std::ptrdiff_t machine::read_body(stream& stream, std::span<std::uint8_t> into, std::uint32_t& flags) noexcept {
    into = into.first(std::min(into.size(), longest_data));
    if (stream.through) return stream.through->give(into, flags);
    auto& self = static_cast<machine&>(*stream.of);
    auto& answer = stream.answer;
    const auto& reply = stream.reply();
    const auto count = std::min(answer.size - answer.at, into.size());
    if (count > 0) std::memcpy(into.data(), reply.body.data() + answer.at, count);
    answer.at += count;
    answer.sent += count;
    answer.moved += count;
    const bool promised = answer.streams && reply.length && answer.sent >= *reply.length;
    if (answer.at < answer.size) return static_cast<std::ptrdiff_t>(count);
    if (!answer.streams || answer.source_ended || promised) {
        flags |= NGHTTP2_DATA_FLAG_EOF;
        if (reply.trailers().empty()) return static_cast<std::ptrdiff_t>(count);
        flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        try {
            auto& fields = self.from_.fields;
            auto& names = self.from_.names;
            fields.clear();
            names.clear();
            names.reserve(reply.trailers().size());
            add_lines(fields, names, reply.trailers());
            self.framer_.trail(stream.id, fields);
        } catch (const std::bad_alloc&) {
            return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
        return static_cast<std::ptrdiff_t>(count);
    }
    if (!answer.piece_due && !stream.asking) {
        answer.piece_due = true;
        ++self.due_;
    }
    if (count == 0) return NGHTTP2_ERR_DEFERRED;
    return static_cast<std::ptrdiff_t>(count);
}

void machine::frame_sent(const nghttp2_frame& frame) {
    if (frame.hd.type == NGHTTP2_GOAWAY && frame.goaway.error_code != NGHTTP2_NO_ERROR) {  // of nghttp2's own
        ending_ = {'P', 'R'};
        departure_.skip();
        lost(at_);
        broken_ = false;
        return;
    }
    if (frame.hd.type == NGHTTP2_RST_STREAM && is_fault(frame.rst_stream.error_code)) too_many(may_.faults);
    if (frame.hd.type != NGHTTP2_HEADERS && frame.hd.type != NGHTTP2_DATA) return;
    // Clients of gRPC measure by a PING for each DATA (its estimate of bandwidth times delay): thousands a second.
    may_.controls.give();
    if ((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return;
    auto* const stream = framer_.of(frame.hd.stream_id);
    if (stream == nullptr) return;
    stream->answer.done = true;
    if (stream->whole) may_.resets.give();
    const auto& current = stream->current;
    if (stream->answer.streams && current.was_told() && !current.left)
        ++(stream->outcome.ended_by_us ? changes_.ended_by_us : changes_.ended);
    count(*stream, stream->outcome.forced ? request_end::cut : request_end::finished);
    // RFC 9113 section 8.1: what still comes of the request is of no interest.
    if (!stream->whole && (!stream->through || !stream->through->inside)) reset(*stream, NGHTTP2_NO_ERROR);
}

// ── the pieces of a stream ──────────────────────────────────────────────────────────────────────

/// So that many streams that are not read hold no more than a few that are. Whole frames, where it is more than one.
std::size_t machine::largest_piece() const noexcept {
    const auto most = std::max(response::window / std::max<std::size_t>(1, alive_), smallest_piece);
    return most < longest_data ? most : most - most % longest_data;
}

void machine::ask_due() {
    for (auto next = all_.begin(); due_ > 0 && next != all_.end();) {
        auto& stream = *next++;
        if (!std::exchange(stream.answer.piece_due, false)) continue;
        --due_;
        if (stream.id != 0 && !stream.outcome.cut) ask_piece(stream);
    }
}

void machine::ask_piece(stream& stream) {
    auto& reply = stream.current.reply;
    if (stream.outcome.ended_by_us) {
        stream.answer.source_ended = true;
        framer_.resume(stream.id);
        return;
    }
    stream.deadline = reply.texts ? clock::time_point::max() : at_.now + limits_->write_timeout;
    if (reply.texts) {
        forget(reply.body, 0);
    } else {
        const auto left = reply.length ? *reply.length - stream.answer.sent : response::window;
        reply.body.resize(std::min<std::uint64_t>(left, largest_piece()));
    }
    stream.asking = true;
    ++asked_;
    if (!by_.ask(asked::piece, stream)) return;
    stream.asking = false;
    --asked_;
    if (stream.current.thrown != nullptr) by_.log_failure(stream, stream.current.thrown);
    piece_came(stream);
}

void machine::piece_came(stream& stream) {
    auto& current = stream.current;
    const bool failed = std::exchange(current.thrown, nullptr) != nullptr;
    if (stream.outcome.straggled) by_.returned_late(stream);
    if (stream.id == 0 || stream.outcome.cut) return;
    stream.deadline = at_.now + limits_->write_timeout;
    auto& answer = stream.answer;
    answer.moved = 0;
    answer.at = 0;
    answer.size = current.piece;
    const bool too_short = answer.size == 0 && current.reply.length && answer.sent < *current.reply.length;
    if (failed || too_short) {
        count(stream, request_end::finished);  // it has said all that it could
        return cut(stream, false);
    }
    answer.source_ended = answer.size == 0 || stream.outcome.ended_by_us;
    framer_.resume(stream.id);
}

// ── the end of a stream ─────────────────────────────────────────────────────────────────────────

void machine::reset(stream& stream, std::uint32_t code) {
    if (stream.id != 0) framer_.reset(stream.id, code);
}

void machine::count(stream& stream, request_end how) {
    if (std::exchange(stream.outcome.counted, true)) return;
    switch (how) {
        case request_end::finished: ++unflushed_; break;
        case request_end::cut: ++changes_.cut; break;
        case request_end::gone: ++changes_.gone; break;
    }
}

void machine::release(stream& done) noexcept {
    assert(!done.asking);
    if (reading_ == &done) reading_ = nullptr;
    if (done.answer.piece_due) --due_;
    if (done.body.unread() > 0) drop_body(done);
    --alive_;
    from_.give_back(std::unique_ptr<stream>(&done));
}

// ── bytes out ───────────────────────────────────────────────────────────────────────────────────

void machine::fill(std::string& out, std::size_t enough, const moment& at) {
    at_ = at;
    for (;;) {
        if (framer_.has_ended()) return framer_.append_last_words(out);
        while (out.size() < enough) {
            // A client that gets the notice with the answer that it waited for has nothing under way to lose: some (JDK
            // 17) drop what they have sent when it comes.
            const bool more = framer_.append(out, static_cast<std::uint32_t>(limits_->http2_max_streams));
            if (!more && !say_goodbye()) break;
            if (framer_.has_ended()) break;
        }
        if (framer_.has_last_words()) continue;
        if (due_ == 0 || out.size() >= enough || framer_.has_ended()) return;
        ask_due();
    }
}

void machine::flushed() noexcept { changes_.finished += std::exchange(unflushed_, 0); }

bool machine::wants_to_write() const noexcept { return framer_.wants_to_write(); }

}  // namespace server::http2
