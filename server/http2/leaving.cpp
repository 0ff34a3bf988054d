#include "server/http2/leaving.hpp"

namespace server::http2 {

using lifecycle::cause;

bool leaving::say_goodbye() {
    switch (departure_.next(all_.empty(), at_.now)) {
        case goodbye::step::none: return false;
        case goodbye::step::notice: framer_.give_notice(); break;
        case goodbye::step::last: go({'D', '-'}, at_); break;
    }
    return true;
}

void leaving::go(ending_letters why, const moment& at) {
    at_ = at;
    departure_.skip();
    if (framer_.has_ended()) return;
    ending_ = why;
    framer_.go_away();
}

bool leaving::too_many(allowance& of) {
    if (of.take(at_.now)) return false;
    end_hostile(NGHTTP2_ENHANCE_YOUR_CALM);
    return true;
}

void leaving::end_hostile(std::uint32_t code) {
    if (framer_.has_ended()) return;
    framer_.end_by(code);
    be_ended();
}

void leaving::be_ended() {
    ending_ = {'P', 'R'};
    departure_.skip();
    lost(at_);
    broken_ = false;  // there is something to be said still
}

void leaving::lost(const moment& at, ending_letters why) {
    at_ = at;
    if (why.who != '-')
        ending_ = why;
    else if (ending_.who == '-')
        ending_ = {'C', all_.empty() && unflushed_ == 0 ? 'I' : 'D'};
    broken_ = true;
    framer_.end();
    for (auto next = all_.begin(); next != all_.end();) {
        auto& stream = *next++;
        stream.id = 0;
        count(stream, forced_ ? request_end::cut : request_end::gone);
        stream.current.left = true;
        if (stream.through && stream.through->inside) {
            end_tunnel(stream, false);
        } else if (stream.asking) {
            stream.current.scope.cancel(cause::client_gone);
            fail_body(stream, rule::none);
        } else {
            release(stream);
        }
    }
}

}  // namespace server::http2
