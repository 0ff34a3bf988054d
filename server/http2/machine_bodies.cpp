// Bodies that their handlers take as they come: what has come is held, and the windows of HTTP/2 are opened for what
// has been taken.

#include <algorithm>
#include <array>
#include <utility>

#include "server/http2/machine.hpp"

namespace server::http2 {

namespace {

std::uint64_t least_bytes(const options& limits) noexcept {
    const auto stretch = std::chrono::duration_cast<std::chrono::milliseconds>(limits.body_timeout).count();
    return limits.min_data_rate * static_cast<std::uint64_t>(stretch) / 1'000;
}

}  // namespace

/// As http1_receiving::begin_body does.
void machine::begin_body(stream& one) {
    auto& current = one.current;
    if (!one.whole) {
        current.incoming = std::make_unique<request_body>(one.announced(), std::string_view(), false);
        one.asked.incoming = current.incoming.get();
        current.incoming->wants = [this, &one] { wants_body(one); };
        current.incoming->took = [this, &one](std::size_t count) { took(one, count); };
    }
    current.incoming->rate.renew(at_.now, limits_->body_timeout);
    one.deadline = std::min(current.deadline, at_.now + limits_->request_timeout);
}

/// A reader waits: from here on it is the client's time. What comes of that is seen to outside of the reader.
void machine::wants_body(stream& one) {
    at_ = by_.now();
    auto& body = *one.current.incoming;
    one.receives = true;
    if (one.id == 0 || dead_) return fail_body(one, rule::none);
    body.rate.since = at_.now;
    if (!std::exchange(body.rate.asked, true) && one.expects_continue()) say_continue(one);
    one.deadline = std::min(one.current.deadline, at_.now + body.rate.left);
    by_.proceed();
}

void machine::say_continue(stream& one) {
    std::array<char, 8> name{":status"};
    std::array<char, 4> code{"100"};
    nghttp2_nv field{reinterpret_cast<std::uint8_t*>(name.data()), reinterpret_cast<std::uint8_t*>(code.data()), 7, 3,
                     0};
    check(nghttp2_submit_headers(protocol_.get(), NGHTTP2_FLAG_NONE, one.id, nullptr, &field, 1, nullptr));
}

/// False: it is of no interest any more.
bool machine::hold(stream& one, std::string_view bytes) {
    if (one.connects()) {
        if (one.answered && (!one.through || !one.through->inside)) return false;
        keep(one, bytes);
        if (one.through) wake_later(one);
        return true;
    }
    auto& body = *one.current.incoming;
    if (one.answered || body.has_failed()) return false;
    body.rate.bytes += bytes.size();
    const bool large = one.received > one.current.to->most_body;
    if (large || !has_room(bytes.size())) {
        fail_body(one, large ? rule::max_body_bytes : rule::max_in_flight);
        return false;
    }
    keep(one, bytes);
    body.hold(one.body, false);
    if (one.receives) wake_later(one);
    return true;
}

void machine::keep(stream& one, std::string_view bytes) {
    if (one.taken > 0) one.body.erase(0, std::exchange(one.taken, 0));
    one.body += bytes;
    from_.held += bytes.size();
}

/// So many bytes of bodies are not too many for the loop.
bool machine::has_room(std::size_t more) const noexcept {
    constexpr std::size_t most = 64;  // times the largest one that is gathered
    return from_.held + more <= most * limits_->max_body_bytes;
}

void machine::took(stream& one, std::size_t count) {
    one.taken += count;
    from_.held -= count;
    open_window(one, count);
    by_.proceed();
}

/// nghttp2 would open the window of the connection by halves: who reads would wait for those who do not.
void machine::open_window(stream& one, std::size_t bytes) {
    constexpr std::size_t step = 32 * 1024, little = 128 * 1024;
    if (dead_) return;
    one.credit += bytes;
    credit_ += bytes;
    const auto give = [this](std::int32_t id, std::size_t& credit) {
        check(nghttp2_submit_window_update(protocol_.get(), NGHTTP2_FLAG_NONE, id,
                                           static_cast<std::int32_t>(std::exchange(credit, 0))));
    };
    const auto used = nghttp2_session_get_effective_recv_data_length(protocol_.get());
    if (credit_ >= step || used > window_of_connection - static_cast<std::int32_t>(little)) give(0, credit_);
    if (one.credit >= step && one.id != 0 && !one.whole) give(one.id, one.credit);
}

/// Its handler has returned, and what still comes is of no interest; that of a body which is whole may still be to the
/// source of a streamed answer.
void machine::leave_body(stream& one) {
    auto& body = *one.current.incoming;
    body.fail(rule::none, "the handler of its request has returned");
    if (!body.has_failed()) return;
    body.hold({}, false);
    drop_body(one);
}

void machine::drop_body(stream& one) noexcept {
    const auto bytes = one.unread();
    from_.held -= bytes;
    one.body.clear();
    one.taken = 0;
    if (!one.is_taken() || bytes == 0) return;  // of what has been gathered they are open
    try {
        open_window(one, bytes);
    } catch (const std::bad_alloc&) {
        broken_ = true;
    }
}

void machine::fail_body(stream& one, rule by) noexcept {
    if (!one.current.incoming) return;
    one.current.incoming->fail(by);
    if (one.receives) wake_later(one);
}

void machine::body_is_late(stream& one) {
    auto& current = one.current;
    if (at_.now >= current.deadline) {
        current.tell(lifecycle::cause::deadline);
        return fail_body(one, rule::request_timeout);
    }
    auto& rate = current.incoming->rate;
    if (!rate.is_enough(least_bytes(*limits_))) return fail_body(one, rule::body_timeout);
    rate.renew(at_.now, limits_->body_timeout);
    one.deadline = std::min(current.deadline, at_.now + limits_->body_timeout);
}

void machine::wake_later(stream& one) noexcept {
    if (!one.waking_hook::is_linked()) waking_.push_back(one);
}

void machine::wake(const moment& at) {
    at_ = at;
    while (!waking_.empty()) {
        auto& one = waking_.front();
        one.waking_hook::unlink();
        if (one.through) {
            drive(one);
            continue;
        }
        auto& body = *one.current.incoming;
        if (!body.has_failed()) {
            const auto count = body.take(body.wanted());
            body.came(count, one.whole);
        }
        one.receives = false;
        body.rate.stop(at_.now, limits_->body_timeout, least_bytes(*limits_));
        one.deadline = std::min(one.current.deadline, at_.now + limits_->request_timeout);
        body.go_on();  // the last thing that is done with it: its handler may return
    }
}

}  // namespace server::http2
