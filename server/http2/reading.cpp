#include "server/http2/reading.hpp"

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

namespace server::http2 {

static constexpr int failed = NGHTTP2_ERR_CALLBACK_FAILURE;
static constexpr std::size_t most_lists = 16;                     // as long as may be, which are decoded
static constexpr std::chrono::milliseconds first_request{1'000};  // comes after what begins a connection

/// What nghttp2 calls. Nothing is thrown through it: what finds no memory is the end of the session.
struct calls {
    /// `dead`: what is returned of one that has ended: no more is to be read, but what has been written is.
    template <class Does>
    static int safely(void* self, const Does& does, int dead = failed) noexcept {
        auto& whole = static_cast<reading&>(*static_cast<state*>(self));
        if (whole.framer_.has_ended()) return dead;
        try {
            return does(whole);
        } catch (const std::bad_alloc&) {
            return failed;
        }
    }
    static int begin_frame(nghttp2_session*, const nghttp2_frame_hd* head, void* self) {
        return safely(self, [&](reading& of) { return of.begin_frame(*head); });
    }
    static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* self) {
        return safely(self, [&](reading& of) {
            if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) return of.begin_stream(frame->hd.stream_id);
            of.reading_ = of.framer_.of(frame->hd.stream_id);
            return 0;
        });
    }
    static int header(nghttp2_session*, const nghttp2_frame*, const std::uint8_t* name, std::size_t name_size,
                      const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* self) {
        return safely(self, [&](reading& of) {
            if (of.reading_ == nullptr) return 0;
            const auto text = [](const std::uint8_t* at, std::size_t size) {
                return std::string_view(reinterpret_cast<const char*>(at), size);
            };
            of.reading_->add_field(text(name, name_size), text(value, value_size), *of.limits_);
            // It is decoded to the end, since later blocks depend on it, but not for ever.
            const bool bomb = of.reading_->block.list_size() > most_lists * of.limits_->max_header_bytes;
            if (bomb && of.too_many(of.may_.faults)) return failed;
            return bomb ? int{NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE} : 0;
        });
    }
    static int frame_came(nghttp2_session*, const nghttp2_frame* frame, void* self) {
        return safely(self, [&](reading& of) { return of.frame_came(*frame); });
    }
    static int body_came(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes, std::size_t size,
                         void* self) {
        return safely(self, [&](reading& of) {
            auto* const stream = of.framer_.of(id);
            const bool held = stream != nullptr && of.body_came(*stream, {reinterpret_cast<const char*>(bytes), size});
            if (!held) of.framer_.consume(id, size);
            return 0;
        });
    }
    static int frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* self) {
        return safely(
            self,
            [&](reading& of) {
                of.frame_sent(*frame);
                return 0;
            },
            0);
    }
    static int closed(nghttp2_session*, std::int32_t id, std::uint32_t, void* self) {
        return safely(
            self,
            [&](reading& of) {
                if (auto* const stream = of.framer_.of(id)) of.closed(*stream);
                return 0;
            },
            0);
    }
};

/// For all sessions; see nghttp2_session_server_new3.
const nghttp2_session_callbacks* reading::callbacks() {
    static const owned<nghttp2_session_callbacks> made = [] {
        nghttp2_session_callbacks* fresh = nullptr;
        if (nghttp2_session_callbacks_new(&fresh) != 0) throw std::bad_alloc();
        nghttp2_session_callbacks_set_on_begin_frame_callback(fresh, calls::begin_frame);
        nghttp2_session_callbacks_set_on_begin_headers_callback(fresh, calls::begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(fresh, calls::header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(fresh, calls::frame_came);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(fresh, calls::body_came);
        nghttp2_session_callbacks_set_on_frame_send_callback(fresh, calls::frame_sent);
        nghttp2_session_callbacks_set_on_stream_close_callback(fresh, calls::closed);
        return owned<nghttp2_session_callbacks>(fresh);
    }();
    return made.get();
}

void reading::receive(std::string_view bytes, const moment& at) {
    at_ = at;
    for (std::size_t read = 0, walked = 0;;) {
        if (framer_.has_ended() || broken_) return;
        const auto id = walk_.next_data(bytes, walked);
        if (id != 0 && !is_doubtful(id)) continue;
        // Without its last byte a head does nothing, so DATA is looked at when all that came before it has been read.
        const auto next = id != 0 ? walked - 1 : walked;
        const auto fault = framer_.receive(bytes.substr(read, next - read));
        if (fault != NGHTTP2_NO_ERROR) return end_hostile(fault);
        if (id == 0) return;  // a block of fields may go on in what is read next
        read = next;
        walk_.caught_up();
        if (!framer_.has_ended()) check_data(id);
    }
}

/// The client has, so that nothing but WINDOW_UPDATE, PRIORITY and RST_STREAM may come (RFC 9113 section 5.1).
bool reading::has_ended(std::int32_t id) const noexcept {
    const auto* const stream = framer_.of(id);
    return stream != nullptr ? stream->whole : ids_.has_ended(id);
}

/// Of DATA that has been found, while what is before it in the same bytes has not been read. To read that first costs
/// 600 instructions, so it is done where something may be wrong.
bool reading::is_doubtful(std::int32_t id) const noexcept {
    return walk_.may_be_over() || (!ids_.is_new(id) && (has_ended(id) || ids_.has_left(id)));
}

/// The same whether the answer is out or not. What a client still sends on a stream that was ended here is its right.
/// On one that it has reset, a thread of its own may not have known yet: no other stream suffers for that.
void reading::check_data(std::int32_t id) {
    if (ids_.is_new(id)) return;
    if (has_ended(id)) return end_hostile(NGHTTP2_STREAM_CLOSED);
    if (!ids_.has_left(id)) return;
    ids_.forget_left(id);
    framer_.reset(id, NGHTTP2_STREAM_CLOSED);
}

/// What nghttp2, without its priorities, lets pass.
int reading::begin_frame(const nghttp2_frame_hd& head) {
    const auto end = [this](std::uint32_t code) {
        end_hostile(code);
        return failed;
    };
    const auto id = head.stream_id;
    if (head.type == NGHTTP2_PRIORITY) {  // frame_came never hears of it
        if (id == 0) return end(NGHTTP2_PROTOCOL_ERROR);
        return too_many(may_.controls) ? failed : 0;
    }
    if (head.type != NGHTTP2_HEADERS || id == 0 || ids_.is_new(id)) return 0;
    if (ids_.is_left_out(id)) return end(NGHTTP2_PROTOCOL_ERROR);
    return has_ended(id) || ids_.has_left(id) ? end(NGHTTP2_STREAM_CLOSED) : 0;
}

int reading::begin_stream(std::int32_t id) {
    if (limits_ != host_.limits) limits_ = host_.limits;
    // Streams whose handlers have not returned are among them, whatever the client has done with them.
    if (alive_ >= 2 * limits_->http2_max_streams + 100) {
        end_hostile(NGHTTP2_ENHANCE_YOUR_CALM);
        return failed;
    }
    ids_.begin(id);
    departure_.begun(at_.now);
    auto& stream = *from_.take().release();
    all_.push_back(stream);
    ++alive_;
    stream.of = this;
    stream.id = id;
    stream.state = connection_state::head;
    stream.since = at_.now;
    stream.deadline = at_.now + limits_->header_timeout;
    ++changes_.began;
    worked_during_stop_ = worked_during_stop_ || at_.stopping;
    reading_ = &stream;
    framer_.attach(id, &stream);
    return 0;
}

int reading::frame_came(const nghttp2_frame& frame) {
    auto* const stream = frame.hd.stream_id > 0 ? framer_.of(frame.hd.stream_id) : nullptr;
    switch (frame.hd.type) {
        case NGHTTP2_HEADERS:
            if (stream == nullptr) break;
            reading_ = nullptr;
            if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
                stream->whole = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
                head_came(*stream);
                break;
            }
            [[fallthrough]];
        case NGHTTP2_DATA:
            if (stream != nullptr && (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
                request_came(*stream);
                break;
            }
            if (frame.hd.length == 0 && too_many(may_.controls)) return failed;
            break;
        case NGHTTP2_RST_STREAM: ids_.leave(frame.hd.stream_id); return too_many(may_.resets) ? failed : 0;
        case NGHTTP2_GOAWAY: gone_ = true; break;
        case NGHTTP2_SETTINGS:
            if ((frame.hd.flags & NGHTTP2_FLAG_ACK) != 0 && !std::exchange(settled_, true))
                departure_.await_no_longer(at_.now + first_request);
            return too_many(may_.controls) ? failed : 0;
        case NGHTTP2_PING:
            if ((frame.hd.flags & NGHTTP2_FLAG_ACK) != 0) departure_.answered(at_.now);
            return too_many(may_.controls) ? failed : 0;
        default: break;
    }
    return 0;
}

/// A body that is taken as it arrives has limits of its own, and its handler is asked at once. A client that waits to
/// hear whether it is wanted is told so when the handler asks for bytes that have not come.
void reading::head_came(stream& stream) {
    stream.make_request(*limits_);
    if (stream.refused != rule::none) return refuse(stream, stream.refused);
    if (stream.connects()) return connect(stream);
    if (stream.whole) return start(stream);
    const auto* const to = host_.routes.find(stream.asked);
    const bool streams = to != nullptr && to->streams_body;
    const auto most = streams ? to->most_body : limits_->max_body_bytes;
    if (stream.block.announced().value_or(0) > most) return refuse(stream, rule::max_body_bytes);
    if (streams && exchange::comes_encoded(*to, stream.asked, true)) return refuse(stream, rule::content_encoding);
    if (streams || (to == nullptr && stream.block.expects_continue())) return start(stream);
    stream.state = connection_state::body;
    stream.since = at_.now;
    const auto first_look = limits_->min_data_rate > 0 ? limits_->data_rate_grace : limits_->body_timeout;
    stream.deadline = at_.now + std::min(first_look, limits_->body_timeout);
    if (stream.block.expects_continue()) say_continue(stream);
}

/// True: it is held for a handler that will take it, and the windows stay as they are until then.
bool reading::body_came(stream& stream, std::string_view bytes) {
    stream.body.received += bytes.size();
    if (stream.is_taken()) return hold(stream, bytes);
    if (stream.answer.begun || stream.refused != rule::none) return false;
    if (stream.body.bytes.size() + bytes.size() > limits_->max_body_bytes) {
        refuse(stream, rule::max_body_bytes);
    } else if (!has_room(bytes.size())) {
        refuse(stream, rule::max_in_flight);
    } else {
        stream.body.keep(bytes);
        from_.held += bytes.size();
    }
    return false;
}

void reading::request_came(stream& stream) {
    if (stream.whole) return;
    stream.end_body();
    if (stream.through) return end_tunnel(stream, true);
    if (stream.current.incoming) {
        if (stream.current.incoming->has_failed()) return;
        stream.current.incoming->hold(stream.body.rest(), true);
        if (stream.receives) wake_later(stream);
        return;
    }
    if (stream.answer.begun || stream.state != connection_state::body) return;
    if (stream.refused != rule::none) return refuse(stream, stream.refused);
    start(stream);
}

/// A stream is over as far as the protocol goes: both sides have said all, or one of them has given it up.
void reading::closed(stream& stream) {
    framer_.attach(stream.id, nullptr);
    if (stream.whole) ids_.end(stream.id);
    stream.id = 0;
    if (reading_ == &stream) reading_ = nullptr;
    if (!stream.answer.done && !stream.outcome.counted) {
        count(stream, request_end::gone);
        stream.current.left = true;
        if (stream.asking) stream.current.scope.cancel(lifecycle::cause::client_gone);
    }
    fail_body(stream, rule::none);
    if (stream.through && stream.through->inside) return end_tunnel(stream, stream.whole && stream.answer.done);
    if (!stream.asking) release(stream);
}

void reading::peer_closed(const moment& at) {
    at_ = at;
    gone_ = true;
    if (ending_.who == '-') ending_ = {'C', all_.empty() ? 'I' : 'R'};
    if (limits_->half_close) return;
    for (auto next = all_.begin(); next != all_.end();) {
        auto& stream = *next++;
        stream.current.left = true;
        if (stream.through) {
            end_tunnel(stream, true);
        } else if (stream.asking) {
            stream.current.scope.cancel(lifecycle::cause::client_gone);
            fail_body(stream, rule::none);
        } else if (!stream.whole) {
            reset(stream, NGHTTP2_CANCEL);  // the rest of it will not come
        }
    }
}

}  // namespace server::http2
