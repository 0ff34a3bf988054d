#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace server::websocket {

/// What both ends have agreed on for permessage-deflate (RFC 7692). Neither takes its window over from message to
/// message, so a connection owns none.
struct deflate_terms {
    std::uint8_t window_bits = 15;  ///< of what this side sends: 9 to 15
    bool says_window = false;       ///< the answer names it

    /// The value of Sec-WebSocket-Extensions in the answer.
    std::string answer() const;
};

/// The first offer in Sec-WebSocket-Extensions, of all its lines joined by commas, that can be taken; none: no
/// compression.
std::optional<deflate_terms> choose(std::string_view offers);

/// zlib's states, one of each kind and window for all connections of a loop: a message is (de)compressed in one go.
/// Made when first wanted: some 260 KiB to compress, 40 to decompress. Only on the loop's thread.
class compression {
public:
    enum class outcome : std::uint8_t { done, malformed, too_large };

    compression();
    ~compression();
    compression(const compression&) = delete;
    compression& operator=(const compression&) = delete;

    /// A whole message, without the four bytes that section 7.2.1 takes from its end, appended. Throws std::bad_alloc.
    void deflate(std::string_view message, unsigned window_bits, std::string& out);
    /// ... and back; `out` never grows beyond `most`.
    outcome inflate(std::string_view message, std::size_t most, std::string& out);

private:
    struct deflater;
    struct inflater;
    std::array<std::unique_ptr<deflater>, 16> by_window_;
    std::unique_ptr<inflater> inflater_;
};

}  // namespace server::websocket
