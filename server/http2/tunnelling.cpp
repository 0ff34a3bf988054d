#include "server/http2/tunnelling.hpp"

#include <utility>

namespace server::http2 {

/// Its route has said yes. The request is over when the session is.
void tunnelling::open_tunnel(stream& stream) {
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

void tunnelling::wake(const moment& at) {
    at_ = at;
    while (!waking_.empty()) {
        auto& stream = waking_.front();
        stream.waking_hook::unlink();
        stream.through ? drive(stream) : hand_on(stream);
    }
}

void tunnelling::count_asked(tunnel& of) noexcept {
    asked_ -= std::exchange(of.asked, of.inside->asked());
    asked_ += of.asked;
}

void tunnelling::drive(stream& stream) {
    auto& through = *stream.through;
    if (!through.inside) return;
    const auto next = through.drive(at_);
    count_asked(through);
    if (next == server::session::next::wait || through.asked > 0) return;
    forced_ = forced_ || through.inside->forced();
    through.inside->end();
    through.inside = nullptr;
    stream.since = at_.now;
    if (stream.id == 0) return release(stream);
    if (next == server::session::next::reset) return reset(stream, NGHTTP2_CANCEL);
    through.finish();
    if (stream.answer.done && !stream.whole) reset(stream, NGHTTP2_NO_ERROR);
}

/// Its stream is over in the protocol, its connection is, or nothing comes any more.
void tunnelling::end_tunnel(stream& stream, bool whole) {
    auto& through = *stream.through;
    through.end();
    if (!whole && through.inside) forced_ ? through.inside->cut(at_) : through.inside->client_gone(at_);
    wake_later(stream);
}

}  // namespace server::http2
