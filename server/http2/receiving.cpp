#include "server/http2/receiving.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <utility>

namespace server::http2 {

/// As http1_receiving::begin_body does.
void receiving::begin_body(stream& stream) {
    auto& current = stream.current;
    if (!stream.whole) {
        current.incoming = std::make_unique<request_body>(stream.block.announced(), std::string_view(), false);
        stream.asked.incoming = current.incoming.get();
        current.incoming->wants = [this, &stream] { wants_body(stream); };
        current.incoming->took = [this, &stream](std::size_t count) { took(stream, count); };
    }
    current.incoming->rate.renew(at_.now, limits_->body_timeout);
    stream.deadline = std::min(current.deadline, at_.now + limits_->request_timeout);
}

/// A reader waits: from here on it is the client's time. What comes of that is seen to outside of the reader.
void receiving::wants_body(stream& stream) {
    at_ = by_.now();
    auto& body = *stream.current.incoming;
    stream.receives = true;
    if (stream.id == 0 || framer_.has_ended()) return fail_body(stream, rule::none);
    body.rate.since = at_.now;
    if (!std::exchange(body.rate.asked, true) && stream.block.expects_continue()) say_continue(stream);
    stream.deadline = std::min(stream.current.deadline, at_.now + body.rate.left);
    by_.proceed();
}

void receiving::say_continue(const stream& stream) {
    std::array<char, 8> name{":status"};
    std::array<char, 4> code{"100"};
    nghttp2_nv field{reinterpret_cast<std::uint8_t*>(name.data()), reinterpret_cast<std::uint8_t*>(code.data()), 7, 3,
                     0};
    framer_.inform(stream.id, field);
}

bool receiving::hold(stream& stream, std::string_view bytes) {
    if (stream.connects()) {
        if (stream.answer.begun && (!stream.through || !stream.through->inside)) return false;
        keep(stream, bytes);
        if (stream.through) wake_later(stream);
        return true;
    }
    auto& body = *stream.current.incoming;
    if (stream.answer.begun || body.has_failed()) return false;
    body.rate.bytes += bytes.size();
    const bool large = stream.body.received > stream.current.to->most_body;
    if (large || !has_room(bytes.size())) {
        fail_body(stream, large ? rule::max_body_bytes : rule::max_in_flight);
        return false;
    }
    keep(stream, bytes);
    body.hold(stream.body.bytes, false);
    if (stream.receives) wake_later(stream);
    return true;
}

void receiving::keep(stream& stream, std::string_view bytes) {
    stream.body.keep(bytes);
    from_.held += bytes.size();
}

bool receiving::has_room(std::size_t more) const noexcept {
    constexpr std::size_t most = 64;  // times the largest one that is gathered
    return from_.held + more <= most * limits_->max_body_bytes;
}

void receiving::took(stream& stream, std::size_t count) {
    stream.body.taken += count;
    from_.held -= count;
    open_window(stream, count);
    by_.proceed();
}

/// nghttp2 would open the window of the connection by halves: handlers that read would wait for those that do not.
void receiving::open_window(stream& stream, std::size_t bytes) {
    constexpr std::size_t step = 32 * 1024, little = 128 * 1024;
    if (framer_.has_ended()) return;
    stream.body.credit += bytes;
    credit_ += bytes;
    const auto give = [this](std::int32_t id, std::size_t& credit) {
        framer_.open_window(id, std::exchange(credit, 0));
    };
    const auto used = framer_.unopened();
    if (credit_ >= step || used > window_of_connection - static_cast<std::int32_t>(little)) give(0, credit_);
    if (stream.body.credit >= step && stream.id != 0 && !stream.whole) give(stream.id, stream.body.credit);
}

/// Its handler has returned, and what still comes is of no interest; that of a body which is whole may still be to the
/// source of a streamed answer.
void receiving::leave_body(stream& stream) {
    auto& body = *stream.current.incoming;
    body.fail(rule::none, "the handler of its request has returned");
    if (!body.has_failed()) return;
    body.hold({}, false);
    drop_body(stream);
}

void receiving::drop_body(stream& stream) noexcept {
    const auto bytes = stream.body.unread();
    from_.held -= bytes;
    stream.body.drop();
    if (!stream.is_taken() || bytes == 0) return;  // of what has been gathered they are open
    try {
        open_window(stream, bytes);
    } catch (const std::bad_alloc&) {
        broken_ = true;
    }
}

void receiving::fail_body(stream& stream, rule by) noexcept {
    if (!stream.current.incoming) return;
    stream.current.incoming->fail(by);
    if (stream.receives) wake_later(stream);
}

void receiving::body_is_late(stream& stream) {
    auto& current = stream.current;
    if (at_.now >= current.deadline) {
        current.tell(lifecycle::cause::deadline);
        return fail_body(stream, rule::request_timeout);
    }
    auto& rate = current.incoming->rate;
    if (!rate.is_enough(least_bytes(limits_->body_timeout))) return fail_body(stream, rule::body_timeout);
    rate.renew(at_.now, limits_->body_timeout);
    stream.deadline = std::min(current.deadline, at_.now + limits_->body_timeout);
}

void receiving::wake_later(stream& stream) noexcept {
    if (!stream.waking_hook::is_linked()) waking_.push_back(stream);
}

void receiving::hand_on(stream& stream) {
    auto& body = *stream.current.incoming;
    if (!body.has_failed()) {
        const auto count = body.take(body.wanted());
        body.came(count, stream.whole);
    }
    stream.receives = false;
    body.rate.stop(at_.now, limits_->body_timeout, least_bytes(limits_->body_timeout));
    stream.deadline = std::min(stream.current.deadline, at_.now + limits_->request_timeout);
    body.go_on();  // the last thing that is done with it: its handler may return
}

}  // namespace server::http2
