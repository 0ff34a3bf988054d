#pragma once

#include <cstdint>
#include <string_view>

#include "server/http2/frame_walk.hpp"
#include "server/http2/stream_ids.hpp"
#include "server/http2/writing.hpp"

namespace server::http2 {

/// Bytes in: what nghttp2 makes of them, frames and requests, and what a client must not do.
class reading : public writing {
public:
    reading(host& on, duties& by, depot& from) : writing(on, by, from, callbacks()) {}

    /// Bytes have come. They are dropped if the connection is over.
    void receive(std::string_view bytes, const moment& at);
    /// The client sends no more; what it is owed is still written.
    void peer_closed(const moment& at);

private:
    friend struct calls;  ///< what nghttp2 calls

    static const nghttp2_session_callbacks* callbacks();
    bool has_ended(std::int32_t id) const noexcept;
    bool is_doubtful(std::int32_t id) const noexcept;
    void check_data(std::int32_t id);
    int begin_frame(const nghttp2_frame_hd& head);
    int begin_stream(std::int32_t id);
    void head_came(stream& stream);
    int frame_came(const nghttp2_frame& frame);
    bool body_came(stream& stream, std::string_view bytes);
    void request_came(stream& stream);
    void closed(stream& stream);

    frame_walk walk_;
    stream_ids ids_;
};

}  // namespace server::http2
