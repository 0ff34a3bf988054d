#include "server/http2/framer.hpp"

#include <array>

namespace server::http2 {
namespace {

const nghttp2_option* how() {
    static const owned<nghttp2_option> made = [] {
        nghttp2_option* fresh = nullptr;
        if (nghttp2_option_new(&fresh) != 0) throw std::bad_alloc();
        nghttp2_option_set_no_auto_window_update(fresh, 1);  // for what has been taken
        nghttp2_option_set_no_closed_streams(fresh, 1);
        nghttp2_option_set_stream_reset_rate_limit(fresh, 1'000'000,
                                                   1'000'000);  // counted here, and answered otherwise
        return owned<nghttp2_option>(fresh);
    }();
    return made.get();
}

constexpr std::array<std::uint8_t, 8> our_ping{'c', 'u', 'r', 'f', 'e', 'w', 0, 0};

}  // namespace

framer::framer(memory& from, const nghttp2_session_callbacks* calls, void* self) : blocks_(from) {
    nghttp2_session* fresh = nullptr;
    const int result = nghttp2_session_server_new3(&fresh, calls, self, how(), blocks_.hooks());
    if (result != 0) throw std::bad_alloc();
    session_.reset(fresh);
}

std::uint32_t framer::receive(std::string_view bytes) {
    const auto taken =
        nghttp2_session_mem_recv(session_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    if (taken >= 0 || ended_) return NGHTTP2_NO_ERROR;
    switch (taken) {
        case NGHTTP2_ERR_NOMEM:
        case NGHTTP2_ERR_CALLBACK_FAILURE: throw std::bad_alloc();
        case NGHTTP2_ERR_FLOODED:
        case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS: return NGHTTP2_ENHANCE_YOUR_CALM;
        default: return NGHTTP2_PROTOCOL_ERROR;
    }
}

void framer::begin(std::span<const nghttp2_settings_entry> settings, std::int32_t window) {
    check(nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, settings.data(), settings.size()));
    check(nghttp2_session_set_local_window_size(session_.get(), NGHTTP2_FLAG_NONE, 0, window));
}

void framer::give_notice() {
    check(nghttp2_submit_shutdown_notice(session_.get()));
    check(nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, our_ping.data()));
}

void framer::go_away() {
    check(nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(session_.get()), NGHTTP2_NO_ERROR, nullptr, 0));
}

/// nghttp2 refuses what is more than it has announced, also before the client can know of that, and by a reset which
/// many clients do not repeat. So it is told of any number, the client of the true one, and the excess is answered.
void framer::announce_streams(std::string& out, std::size_t from, std::uint32_t most) {
    constexpr std::size_t head = 9, entry = 6;
    if (out[from + 3] != NGHTTP2_SETTINGS || (out[from + 4] & NGHTTP2_FLAG_ACK) != 0) return;
    said_settings_ = true;
    for (auto at = from + head; at + entry <= out.size(); at += entry)
        if (out[at + 1] == NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
            for (std::size_t nth = 0; nth < 4; ++nth)
                out[at + 2 + nth] = static_cast<char>(most >> (24 - 8 * nth) & 0xff);
}

/// RFC 9113 section 6.8.
void framer::end_by(std::uint32_t code) {
    const auto last = static_cast<std::uint32_t>(nghttp2_session_get_last_proc_stream_id(session_.get()));
    const auto put = [this](std::uint32_t number) {
        for (int shift = 24; shift >= 0; shift -= 8) last_words_ += static_cast<char>(number >> shift & 0xff);
    };
    last_words_.assign({0, 0, 8, NGHTTP2_GOAWAY, 0, 0, 0, 0, 0});
    put(last);
    put(code);
    ended_ = true;
}

}  // namespace server::http2
