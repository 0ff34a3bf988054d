#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/options.hpp"

namespace server {

/// Decodes the chunked transfer coding (RFC 9112 section 7.1) in place, without I/O.
///
/// Beast's own decoder takes unlimited extensions, leading zeros and trailers, and reads an open
/// quote across line ends; here every line is bounded and a line end is CRLF or a fault. Extensions
/// are ignored, as section 7.1.1 asks; trailers are kept as they came, and no part of the head.
class chunked_decoder {
public:
    enum class progress { need_more, complete, malformed, too_large };

    /// `limits` must outlive it.
    explicit chunked_decoder(const options& limits) noexcept : limits_(&limits), most_(limits.max_body_bytes) {}

    /// Another limit of the whole body. After `too_large`, which is said at the size of a chunk, it may go on by that.
    void allow(std::uint64_t most) noexcept { most_ = most; }
    bool is_within(std::uint64_t most) const noexcept { return left_ <= most && passed_ + written_ <= most - left_; }

    /// `data` is the whole body as received so far, decoded part included; what this call decodes is
    /// moved to the end of that part. Call again with the same bytes and more after them.
    /// Throws std::bad_alloc, for trailers.
    progress decode(char* data, std::size_t size);
    /// What has been decoded has been passed on: the next call is with bytes that no call has seen.
    void pass() noexcept;

    /// Moves what has not been read to the end of the decoded part; the new size of `data`.
    std::size_t squeeze(char* data, std::size_t size) noexcept;

    std::size_t decoded() const noexcept { return written_; }  ///< bytes of body, at the front of `data`
    std::size_t consumed() const noexcept { return read_; }    ///< bytes of `data` that have been read

    /// Of a complete body: "Name: value\r\n" …
    std::string_view trailers() const noexcept { return trailers_; }

    /// Bytes that are sure to come: the rest of this chunk.
    std::size_t missing() const noexcept { return state_ == at::data ? static_cast<std::size_t>(left_) : 0; }

private:
    enum class at {
        size_first,
        size,
        size_blank,
        extension,
        quoted,
        quoted_pair,
        size_lf,
        data,
        data_cr,
        data_lf,
        trailer_first,
        trailer_name,
        trailer,
        trailer_lf,
        last_lf
    };

    progress step(char c);
    progress trailer(char c);
    progress digit(char c) noexcept;
    bool extends() noexcept;

    const options* limits_;
    std::size_t read_ = 0;
    std::size_t written_ = 0;
    std::uint64_t left_ = 0;    ///< of this chunk
    std::uint64_t passed_ = 0;  ///< bytes of body before those at the front of `data`
    std::uint64_t most_;        ///< bytes of body
    std::string trailers_;
    unsigned digits_ = 0;
    std::size_t overhead_ = 0;    ///< bytes of this line, of all trailers
    std::size_t extensions_ = 0;  ///< bytes of all chunks' extensions
    at state_ = at::size_first;
};

}  // namespace server
