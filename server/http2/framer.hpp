#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/http2/memory.hpp"
#include "server/http2/nghttp2.hpp"

namespace server::http2 {

class stream;

/// The frames of one connection: nghttp2's session, and the last words that are said without it. Where nghttp2 finds no
/// memory it throws std::bad_alloc; what else nghttp2 refuses, since the stream is over for instance, is of no
/// interest.
///
/// Decides nothing. Only on one thread. From within a call of nghttp2's only the functions that submit may be used,
/// `end`, `end_by` and those that ask.
class framer {
public:
    /// `calls` are made with `self`; `from` outlives it.
    framer(memory& from, const nghttp2_session_callbacks* calls, void* self);
    framer(const framer&) = delete;
    framer& operator=(const framer&) = delete;

    // What comes.

    /// nghttp2 reads, and makes its calls. What is returned is not NO_ERROR when the connection is to be ended with it.
    std::uint32_t receive(std::string_view bytes);
    /// No handler takes these bytes of a body: the windows stay as wide as they were.
    void consume(std::int32_t id, std::size_t bytes) noexcept { nghttp2_session_consume(session_.get(), id, bytes); }
    /// Bytes that have come, and by which the window of the connection has not been opened again.
    std::int32_t unopened() const noexcept { return nghttp2_session_get_effective_recv_data_length(session_.get()); }
    stream* of(std::int32_t id) const noexcept {
        return static_cast<stream*>(nghttp2_session_get_stream_user_data(session_.get(), id));
    }
    void attach(std::int32_t id, stream* to) noexcept { nghttp2_session_set_stream_user_data(session_.get(), id, to); }

    // What is to be sent.

    void begin(std::span<const nghttp2_settings_entry> settings, std::int32_t window);
    void answer(std::int32_t id, const std::vector<nghttp2_nv>& fields, const nghttp2_data_provider* body) {
        check(nghttp2_submit_response(session_.get(), id, fields.data(), fields.size(), body));
    }
    /// The head of an answer before the true one.
    void inform(std::int32_t id, const nghttp2_nv& status) {
        check(nghttp2_submit_headers(session_.get(), NGHTTP2_FLAG_NONE, id, nullptr, &status, 1, nullptr));
    }
    /// From within the call for the body.
    void trail(std::int32_t id, const std::vector<nghttp2_nv>& fields) noexcept {
        nghttp2_submit_trailer(session_.get(), id, fields.data(), fields.size());
    }
    /// There is more of a body whose call has said that it is to be called again.
    void resume(std::int32_t id) noexcept { nghttp2_session_resume_data(session_.get(), id); }
    void reset(std::int32_t id, std::uint32_t code) {
        check(nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, id, code));
    }
    /// Stream 0 is the connection.
    void open_window(std::int32_t id, std::size_t bytes) {
        check(nghttp2_submit_window_update(session_.get(), NGHTTP2_FLAG_NONE, id, static_cast<std::int32_t>(bytes)));
    }
    /// The client should go, but what it has sent before it knows is taken: GOAWAY without a stream, and a PING.
    void give_notice();
    /// ... and what comes after the last stream is not.
    void go_away();

    /// Appends what nghttp2 has to send next. False: nothing. In the first SETTINGS the client reads `most_streams`.
    bool append(std::string& out, std::uint32_t most_streams) {
        const std::uint8_t* bytes = nullptr;
        const auto count = nghttp2_session_mem_send(session_.get(), &bytes);
        if (count == 0) return false;
        if (count < 0) throw std::bad_alloc();
        const auto from = out.size();
        out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(count));
        if (!said_settings_) announce_streams(out, from, most_streams);
        return true;
    }
    bool wants_to_write() const noexcept {
        return !last_words_.empty() || (!ended_ && nghttp2_session_want_write(session_.get()) != 0);
    }

    // The end.

    /// nghttp2 is not asked any more.
    void end() noexcept { ended_ = true; }
    bool has_ended() const noexcept { return ended_; }
    /// It ends with a GOAWAY that is made without nghttp2, which may be in the middle of what has gone too far.
    void end_by(std::uint32_t code);
    bool has_last_words() const noexcept { return !last_words_.empty(); }
    void append_last_words(std::string& out) {
        out += last_words_;
        last_words_.clear();
    }
    /// Nothing is being sent: memory that is only of use for sending is given up.
    void rest() noexcept { blocks_.rest(); }

private:
    static void check(int result) {
        if (result == NGHTTP2_ERR_NOMEM || result == NGHTTP2_ERR_CALLBACK_FAILURE) throw std::bad_alloc();
    }
    void announce_streams(std::string& out, std::size_t from, std::uint32_t most);

    session_memory blocks_;
    owned<nghttp2_session> session_;
    std::string last_words_;  ///< a GOAWAY after which nghttp2 is not asked any more
    bool said_settings_ = false, ended_ = false;
};

}  // namespace server::http2
