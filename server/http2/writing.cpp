#include "server/http2/writing.hpp"

#include <utility>

namespace server::http2 {

namespace {

/// A reset that the client has made nghttp2 send, by a frame that its stream does not allow; ours have other codes.
/// Those that it does not read are bounded too: a stream counts as alive until its reset has been sent.
bool is_fault(std::uint32_t code) noexcept {
    return code != NGHTTP2_NO_ERROR && code != NGHTTP2_INTERNAL_ERROR && code != NGHTTP2_CANCEL;
}

}  // namespace

void writing::fill(std::string& out, std::size_t enough, const moment& at) {
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

void writing::flushed() noexcept {
    changes_.finished += std::exchange(unflushed_, 0);
    told_ends_ = 0;
}

void writing::frame_sent(const nghttp2_frame& frame) {
    if (frame.hd.type == NGHTTP2_GOAWAY && frame.goaway.error_code != NGHTTP2_NO_ERROR)
        return be_ended();  // of nghttp2's own
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
    const bool was_told = stream->answer.streams && current.was_told();
    if (was_told && !current.left) ++(stream->outcome.ended_by_us ? changes_.ended_by_us : changes_.ended);
    if (was_told && current.can_end() && !stream->outcome.counted && !stream->outcome.forced) ++told_ends_;
    count(*stream, stream->outcome.forced ? request_end::cut : request_end::finished);
    // RFC 9113 section 8.1: what still comes of the request is of no interest.
    if (!stream->whole && (!stream->through || !stream->through->inside)) reset(*stream, NGHTTP2_NO_ERROR);
}

}  // namespace server::http2
