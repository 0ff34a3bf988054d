// Streams that other sessions live on.

#include <algorithm>
#include <cstring>
#include <utility>

#include "server/forget.hpp"
#include "server/http2/machine.hpp"

namespace server::http2 {

using interest = poll_set::interest;

// ── a stream as a socket ────────────────────────────────────────────────────────────────────────

transfer tunnel::read(std::span<char> into) {
    const auto count = std::min(into.size(), on_.body.unread());
    if (count > 0) {
        std::copy_n(on_.body.bytes.begin() + static_cast<std::ptrdiff_t>(on_.body.taken), count, into.begin());
        of_.took(on_, count);
        return {.how = transfer_end::done, .count = count};
    }
    if (!ended_ && on_.id != 0) return {};
    told_end_ = true;
    return {.how = transfer_end::ended};
}

bool tunnel::holds() const noexcept { return on_.body.unread() > 0 || ((ended_ || on_.id == 0) && !told_end_); }

transfer tunnel::write(std::string_view bytes) {
    if (on_.id == 0 || finished_) return {.how = transfer_end::ended};
    if (!has_room()) return {};
    const auto count = std::min(bytes.size(), most - unacknowledged());
    out_.append(bytes.substr(0, count));
    of_.framer_.resume(on_.id);
    return {.how = transfer_end::done, .count = count};
}

void tunnel::finish() {
    finished_ = true;
    if (on_.id != 0) of_.framer_.resume(on_.id);
}

void tunnel::discard() noexcept { of_.drop_body(on_); }

void tunnel::proceed() noexcept {
    of_.count_asked(*this);
    of_.wake_later(on_);
    of_.by_.proceed();
}

server::session::next tunnel::drive(const moment& at) {
    const bool reads = wanted_ == interest::read || wanted_ == interest::both;
    const bool writes = wanted_ == interest::write || wanted_ == interest::both;
    if ((reads && holds()) || (writes && (has_room() || on_.id == 0))) inside->ready(at);
    return inside->proceed(at);
}

std::ptrdiff_t tunnel::give(std::span<std::uint8_t> into, std::uint32_t& flags) noexcept {
    const auto count = std::min(into.size(), unacknowledged());
    if (count > 0) std::memcpy(into.data(), out_.data() + sent_, count);
    sent_ += count;
    if (sent_ == out_.size()) {
        forget(out_);
        sent_ = 0;
        if (finished_) flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    if (count == 0 && !finished_) return NGHTTP2_ERR_DEFERRED;
    if (wanted_ == interest::write || wanted_ == interest::both) of_.wake_later(on_);
    return static_cast<std::ptrdiff_t>(count);
}

// ── its life ────────────────────────────────────────────────────────────────────────────────────

/// RFC 8441 section 4. A request of another kind for such a route counts as none: the handler of a GET is not called.
void machine::connect(stream& stream) {
    const auto* const to = host_.routes.find(stream.asked);
    if (to != nullptr && !to->becomes) return refuse(stream, rule::method);
    start(stream);
}

/// Its route has said yes. The request is over when the session is.
void machine::open_tunnel(stream& stream) {
    stream.current.reply.status = http::status::ok;
    stream.outcome.counted = true;
    stream.through = std::make_unique<tunnel>(*this, stream);
    submit(stream, stream.current.reply);
    by_.note(stream, row(stream));
    by_.answered(stream, http::status::ok);
    auto& through = *stream.through;
    if (stream.whole) through.end();
    through.inside = by_.becomes(stream, through);
    through.inside->begin({.work = nullptr,
                           .bytes = {},
                           .asked = &stream.asked,
                           .served = served_,
                           .counted = true,
                           .trusts_peer = trusts_peer_,
                           .worked_during_stop = worked_during_stop_},
                          at_);
    wake_later(stream);
}

void machine::count_asked(tunnel& of) noexcept {
    asked_ -= std::exchange(of.asked, of.inside->asked());
    asked_ += of.asked;
}

void machine::drive(stream& stream) {
    auto& through = *stream.through;
    if (!through.inside) return;
    const auto next = through.drive(at_);
    count_asked(through);
    if (next == server::session::next::wait || through.asked > 0) return;
    forced_ = forced_ || through.inside->forced();
    through.inside->end();
    through.inside = nullptr;
    if (stream.id == 0) return release(stream);
    if (next == server::session::next::reset) return reset(stream, NGHTTP2_CANCEL);
    through.finish();
    if (stream.answer.done && !stream.whole) reset(stream, NGHTTP2_NO_ERROR);
}

/// Its stream is over in the protocol, its connection is, or nothing comes any more.
void machine::end_tunnel(stream& stream, bool whole) {
    auto& through = *stream.through;
    through.end();
    if (!whole && through.inside) forced_ ? through.inside->cut(at_) : through.inside->client_gone(at_);
    wake_later(stream);
}

}  // namespace server::http2
