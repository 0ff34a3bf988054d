#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "server/http2/nghttp2.hpp"

namespace server::http2 {

/// Finds the frames of DATA in what a client sends, by nothing but the heads of frames and wherever that is cut:
/// nghttp2 drops those of a stream that is over, and tells nobody. It begins with the preface (RFC 9113 section 3.4),
/// and is not to be asked again of bytes that it has walked over.
class frame_walk {
public:
    /// Of the next frame of DATA, its stream; `at` has moved behind its head then. 0: there is none more in `bytes`,
    /// and `at` is their end. Those of stream 0 do not count.
    std::int32_t next_data(std::string_view bytes, std::size_t& at) noexcept {
        while (at < bytes.size()) {
            const auto left = bytes.size() - at;
            if (skip_ > left) {
                skip_ -= left;
                break;
            }
            at += skip_;
            skip_ = 0;
            const auto* const head = next_head(bytes, at);
            if (head == nullptr) break;
            if (const auto id = look(head)) return id;
        }
        at = bytes.size();
        return 0;
    }
    /// A frame before the one that was found, and after the last that was caught up with, may have ended its stream.
    bool may_be_over() const noexcept { return may_be_over_; }
    /// What all frames before the one that was found have ended is known elsewhere.
    void caught_up() noexcept { ended_ = ends_; }

private:
    static constexpr std::size_t head_size = 9;        // RFC 9113 section 4.1
    static constexpr std::size_t longest = 16 * 1024;  // no other size is announced; nghttp2 ends what sends more
    static constexpr std::size_t for_ever = SIZE_MAX;

    std::int32_t look(const char* head) noexcept {
        skip_ = number(head) >> 8;
        if (skip_ > longest) skip_ = for_ever;
        const auto type = static_cast<std::uint8_t>(head[3]);
        const auto id = static_cast<std::int32_t>(number(head + 5) & 0x7fff'ffff);
        const bool can_end = type == NGHTTP2_DATA || type == NGHTTP2_HEADERS;
        const bool ends = (can_end && (head[4] & NGHTTP2_FLAG_END_STREAM) != 0) || type == NGHTTP2_RST_STREAM;
        const auto before = ended_;
        if (ends && id > ended_) ended_ = id;
        if (type != NGHTTP2_DATA || id == 0) return 0;
        ends_ = ends ? id : 0;
        may_be_over_ = id <= before;
        return id;
    }
    static std::uint32_t number(const char* at) noexcept {
        const auto byte = [at](int nth) { return std::uint32_t{static_cast<std::uint8_t>(at[nth])}; };
        return byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
    }
    /// nullptr: it is not whole.
    const char* next_head(std::string_view bytes, std::size_t& at) noexcept {
        const auto left = bytes.size() - at;
        if (had_ == 0 && left >= head_size) {
            at += head_size;
            return bytes.data() + at - head_size;
        }
        const auto count = std::min(left, head_size - had_);
        std::copy_n(bytes.data() + at, count, head_.data() + had_);
        at += count;
        had_ += count;
        if (had_ < head_size) return nullptr;
        had_ = 0;
        return head_.data();
    }

    std::size_t skip_ = NGHTTP2_CLIENT_MAGIC_LEN;  ///< bytes before the next head
    std::size_t had_ = 0;                          ///< of a head that is not whole
    std::array<char, head_size> head_{};
    std::int32_t ended_ = 0;  ///< the largest stream that may have been, since it caught up
    std::int32_t ends_ = 0;   ///< ... by the frame that was found
    bool may_be_over_ = false;
};

}  // namespace server::http2
