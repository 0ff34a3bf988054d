#include "tests/http2/peer.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace http2_tests {

struct peer_calls {
    static peer& of(void* self) { return *static_cast<peer*>(self); }

    static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                      const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* self) {
        auto& answer = of(self).answers[frame->hd.stream_id];
        std::string key(reinterpret_cast<const char*>(name), name_size);
        std::string text(reinterpret_cast<const char*>(value), value_size);
        if (key == ":status") answer.status = std::stoi(text);
        const bool behind = frame->headers.cat == NGHTTP2_HCAT_HEADERS && answer.status >= 200 && key[0] != ':';
        (behind ? answer.trailers : answer.headers).emplace(std::move(key), std::move(text));
        return 0;
    }
    static int data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes, std::size_t size,
                    void* self) {
        of(self).answers[id].body.append(reinterpret_cast<const char*>(bytes), size);
        return 0;
    }
    static int came(nghttp2_session*, const nghttp2_frame* frame, void* self) {
        auto& whole = of(self);
        const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        switch (frame->hd.type) {
            case NGHTTP2_HEADERS:
            case NGHTTP2_DATA:
                if (ends) whole.answers[frame->hd.stream_id].ended = true;
                break;
            case NGHTTP2_SETTINGS:
                for (std::size_t nth = 0; nth < frame->settings.niv; ++nth)
                    whole.settings[frame->settings.iv[nth].settings_id] = frame->settings.iv[nth].value;
                break;
            case NGHTTP2_PING:
                if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
                    ++whole.pings_answered;
                } else {
                    std::array<std::uint8_t, 8> opaque{};
                    std::copy_n(frame->ping.opaque_data, opaque.size(), opaque.begin());
                    whole.pings_.push_back(opaque);
                    if (!whole.holds_pings) whole.answer_pings();
                }
                break;
            default: break;
        }
        return 0;
    }
    static ssize_t body(nghttp2_session* session, std::int32_t id, std::uint8_t* into, std::size_t size,
                        std::uint32_t* flags, nghttp2_data_source*, void* self) {
        auto& upload = of(self).uploads_[id];
        const auto count = std::min(size, upload.bytes.size());
        if (count == 0 && !upload.last) return NGHTTP2_ERR_DEFERRED;
        std::memcpy(into, upload.bytes.data(), count);
        upload.bytes.erase(0, count);
        if (!upload.last || !upload.bytes.empty()) return static_cast<ssize_t>(count);
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (upload.trailers.empty()) return static_cast<ssize_t>(count);
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        std::vector<nghttp2_nv> some;
        for (auto& [name, value] : upload.trailers)
            some.push_back({reinterpret_cast<std::uint8_t*>(name.data()), reinterpret_cast<std::uint8_t*>(value.data()),
                            name.size(), value.size(), 0});
        nghttp2_submit_trailer(session, id, some.data(), some.size());
        return static_cast<ssize_t>(count);
    }
};

peer::peer(std::uint32_t window, bool reads) {
    nghttp2_session_callbacks* calls = nullptr;
    nghttp2_session_callbacks_new(&calls);
    nghttp2_session_callbacks_set_on_header_callback(calls, peer_calls::header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, peer_calls::data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, peer_calls::came);
    nghttp2_option* how = nullptr;
    nghttp2_option_new(&how);
    nghttp2_option_set_no_auto_ping_ack(how, 1);
    nghttp2_option_set_no_auto_window_update(how, reads ? 0 : 1);
    nghttp2_option_set_peer_max_concurrent_streams(how, 100'000);
    nghttp2_session* made = nullptr;
    nghttp2_session_client_new2(&made, calls, this, how);
    nghttp2_session_callbacks_del(calls);
    nghttp2_option_del(how);
    session_.reset(made);
    const nghttp2_settings_entry ours{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window};
    nghttp2_submit_settings(made, NGHTTP2_FLAG_NONE, &ours, 1);
}

std::int32_t peer::ask(std::string_view method, std::string_view path, const fields& more,
                       std::optional<std::string> body, bool has_body) {
    fields all{
        {":method", std::string(method)}, {":scheme", "http"}, {":authority", "a"}, {":path", std::string(path)}};
    for (const auto& each : more) {
        const auto same = [&](const auto& other) { return other.first == each.first && each.first[0] == ':'; };
        std::erase_if(all, same);
        if (each.first[0] == ':') all.insert(all.begin(), each);
    }
    for (const auto& each : more)
        if (each.first[0] != ':') all.push_back(each);
    std::erase_if(all, [](const auto& each) { return each.second == "-"; });
    std::vector<nghttp2_nv> some;
    for (auto& [name, value] : all)
        some.push_back({reinterpret_cast<std::uint8_t*>(name.data()), reinterpret_cast<std::uint8_t*>(value.data()),
                        name.size(), value.size(), 0});
    nghttp2_data_provider from{.source = {.ptr = nullptr}, .read_callback = peer_calls::body};
    const bool with_body = body || has_body;
    const auto id =
        nghttp2_submit_request(session_.get(), nullptr, some.data(), some.size(), with_body ? &from : nullptr, nullptr);
    if (id < 0) throw std::runtime_error(nghttp2_strerror(id));
    if (body) uploads_[id] = {.bytes = *body, .last = true, .trailers = {}};
    return id;
}

void peer::send_body(std::int32_t id, std::string bytes, bool last) {
    uploads_[id].bytes += bytes;
    uploads_[id].last = last;
    nghttp2_session_resume_data(session_.get(), id);
}

void peer::trail(std::int32_t id, const fields& some) { uploads_[id].trailers = some; }

void peer::reset(std::int32_t id, std::uint32_t code) {
    nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, id, code);
}

void peer::open_window(std::int32_t id, std::int32_t bytes) {
    nghttp2_submit_window_update(session_.get(), NGHTTP2_FLAG_NONE, id, bytes);
}

void peer::ping() { nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr); }

void peer::answer_pings() {
    for (const auto& ping : pings_) nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_ACK, ping.data());
    pings_.clear();
}

/// nghttp2 looks at nothing more once it has been told to go, or has met what it takes for an error.
void peer::look(std::string_view bytes) {
    constexpr std::size_t head = 9;
    seen_ += bytes;
    const auto number = [&](std::size_t at, std::size_t size) {
        std::uint32_t made = 0;
        for (auto nth = at; nth < at + size; ++nth) made = made << 8 | static_cast<unsigned char>(seen_[nth]);
        return made;
    };
    while (seen_.size() >= head && seen_.size() >= head + number(0, 3)) {
        const auto id = static_cast<std::int32_t>(number(5, 4));
        if (seen_[3] == NGHTTP2_HEADERS) answers[id].begun = true;
        if (seen_[3] == NGHTTP2_RST_STREAM) answers[id].reset = number(head, 4);
        if (seen_[3] == NGHTTP2_GOAWAY)
            goaways.push_back({static_cast<std::int32_t>(number(head, 4)), number(head + 4, 4)});
        seen_.erase(0, head + number(0, 3));
    }
}

bool peer::receive(std::string_view bytes) {
    look(bytes);
    const auto taken =
        nghttp2_session_mem_recv(session_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    return taken == static_cast<ssize_t>(bytes.size());
}

std::string peer::take() {
    std::string all;
    const std::uint8_t* bytes = nullptr;
    for (;;) {
        const auto count = nghttp2_session_mem_send(session_.get(), &bytes);
        if (count <= 0) return all;
        all.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(count));
    }
}

std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t id, std::string_view payload) {
    std::string made;
    const auto put = [&](std::size_t number, int bytes) {
        for (int nth = bytes - 1; nth >= 0; --nth) made += static_cast<char>(number >> (8 * nth) & 0xff);
    };
    put(payload.size(), 3);
    made += static_cast<char>(type);
    made += static_cast<char>(flags);
    put(id, 4);
    return made.append(payload);
}

}  // namespace http2_tests
