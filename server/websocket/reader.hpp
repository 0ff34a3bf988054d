#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "server/websocket/deflate.hpp"
#include "server/websocket/frame.hpp"
#include "server/websocket/mask.hpp"
#include "server/websocket/utf8.hpp"

namespace server::websocket {

/// What a peer may send.
struct reading_limits {
    std::size_t max_message = 1024 * 1024;  ///< bytes, whole and decompressed; above: 1009
    std::size_t max_fragments = 100'000;    ///< of one message; above: 1009. 64 KiB in single bytes is not too many
};

/// Frames of a client to messages (RFC 6455 section 5), without I/O: bytes in, one thing after the other out. Each
/// fault is seen at the earliest byte that shows it: a reserved bit at the head of its frame, a length that is too
/// large before the bytes have come, a text that is not UTF-8 at the first byte that shows it.
///
/// Between two messages it owns no more memory than that of short ones.
class reader {
public:
    enum class kind : std::uint8_t { need_more, message, ping, pong, close, fault };

    /// Its views are valid until `next` is called again or the bytes go.
    struct event {
        kind what = kind::need_more;
        bool text = false;        ///< of a message: text, not binary
        std::string_view data;    ///< of a message, a ping or a pong; of a Close its reason
        std::uint16_t code = 0;   ///< of a Close: what it says, or `no_status`; of a fault: to be sent
        bool compressed = false;  ///< of a message: it came compressed
    };

    /// `compressed`: permessage-deflate has been agreed on, by `inflates`; else nullptr. Both must
    /// outlive it.
    explicit reader(const reading_limits& limits, compression* inflates) noexcept
        : limits_(limits), inflates_(inflates) {}

    /// The next thing in `bytes`, from which it takes what it has read; they are changed in place. After a fault, and
    /// after a Close, it is not to be called again. Throws std::bad_alloc.
    event next(std::span<char>& bytes);

    const compression* inflates() const noexcept { return inflates_; }
    /// Part of a frame, or of a message in fragments, has come.
    bool within() const noexcept { return head_size_ > 0 || in_frame_ || in_message_; }

private:
    bool read_head(std::span<char>& bytes);
    std::uint16_t fault_of_head();
    void begin_frame() noexcept;
    event read_control(std::span<char>& bytes);
    event read_data(std::span<char>& bytes);
    event message(std::string_view data);
    static event fault(std::uint16_t code) noexcept { return {.what = kind::fault, .data = {}, .code = code}; }
    std::size_t head_length() const noexcept;
    void forget_message() noexcept;

    const reading_limits& limits_;
    compression* inflates_;
    std::string gathered_;    ///< of a message, when it does not come in one go
    std::string kept_;        ///< of a control frame, the same; of a message that came compressed: decompressed
    std::uint64_t left_ = 0;  ///< of this frame
    std::uint64_t size_ = 0;  ///< ... its payload
    std::uint32_t fragments_ = 0;
    std::array<char, 14> head_{};  ///< of a frame, as far as it has come
    std::uint8_t head_size_ = 0;
    masking_key key_{};
    opcode kind_{};  ///< of this frame
    opcode message_kind_{};
    utf8_check utf8_;
    bool fin_ = false, in_frame_ = false, in_message_ = false, compressed_ = false, delivered_ = false;
};

}  // namespace server::websocket
