#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "server/http1/head_parser.hpp"

namespace server {

/// HTTP/1.1 for an origin server (RFC 9112), without I/O: bytes in, requests out.
class request_parser : public head_parser {
public:
    /// `limits` must outlive it.
    explicit request_parser(const options& limits) noexcept : head_parser(limits) {}

    /// `data` is all that has been received and not been consumed by earlier requests; a chunked body
    /// is decoded in place. The bytes may have moved since the last call, but not changed.
    progress next(char* data, std::size_t size) {
        if (head_size_ == 0)
            if (const auto result = read_head(data, size); result != progress::complete) return result;
        follow(data);
        return read_body(data, size);
    }

    /// Bytes of `data` that a complete request took; what follows belongs to the next one.
    std::size_t consumed() const noexcept { return consumed_; }

    /// Once `next` needs more than these `size` bytes, this many are welcome, so that of what is pipelined after the
    /// request no more than `max_pipelined_bytes` is read.
    std::size_t welcome(std::size_t size) const noexcept;
    /// Throws away the bytes of chunk sizes between the decoded body and what has not been decoded
    /// yet, so that a body in tiny chunks costs no more memory than its bytes. The new size of `data`.
    std::size_t squeeze(char* data, std::size_t size) noexcept;

    // A body that is not gathered, once the head is there: see http1_receiving.

    /// Content-Length; none of a chunked body.
    std::optional<std::uint64_t> length() const noexcept;
    /// From here on it is not gathered, and may be this large. Refused: it is broken, or larger.
    progress begin_stream(char* data, std::size_t size, std::uint64_t most);
    /// What had come of it by then, decoded.
    std::string_view come(const char* data) const noexcept { return {data + head_size_, streamed_}; }
    /// The handler has read what had come; of the request only the head is left in the buffer. The size of that.
    std::size_t leave_head() noexcept { return consumed_ = head_size_; }
    struct fed {
        progress how;
        std::size_t body;  ///< bytes of it, at the front
        std::size_t used;  ///< the next message begins after these
    };
    /// More of it, decoded in place; at most `welcome_piece` bytes.
    fed feed(std::span<char> bytes);
    /// `behind`: how much of the next message may come with it.
    std::size_t welcome_piece(std::size_t wanted, std::size_t behind) const noexcept;

    void reset() noexcept;

private:
    progress is_whole(std::size_t consumed);
    progress refuse_size() noexcept;
    progress read_chunks(char* data, std::size_t size);
    progress read_body(char* data, std::size_t size) {
        assert(head_done() && size >= head_size_);
        if (chunks_) return read_chunks(data, size);
        if (length_ > limits_->max_body_bytes) return refuse_size();
        if (size - head_size_ < length_) return progress::need_more;
        request_.body = {data + head_size_, static_cast<std::size_t>(length_)};
        consumed_ = head_size_ + static_cast<std::size_t>(length_);
        return progress::complete;
    }

    std::size_t streamed_ = 0;  ///< of a body that is not gathered what had come with the head
    std::size_t consumed_ = 0;
};

}  // namespace server
