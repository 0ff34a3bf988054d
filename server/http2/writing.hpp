#pragma once

#include <cstddef>
#include <string>

#include "server/http2/leaving.hpp"

namespace server::http2 {

/// Bytes out, and what is known of the frames in them.
class writing : public leaving {
public:
    using leaving::leaving;

    /// Appends frames to `out`, until there are none or `out` is as long as `enough`.
    void fill(std::string& out, std::size_t enough, const moment& at);
    /// All that has been appended is in the socket.
    void flushed() noexcept;
    bool wants_to_write() const noexcept { return framer_.wants_to_write(); }

protected:
    /// nghttp2 has put this one into what it gave last.
    void frame_sent(const nghttp2_frame& frame);
};

}  // namespace server::http2
