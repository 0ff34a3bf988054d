#include "server/http1/request_parser.hpp"

#include <algorithm>
#include <cassert>

namespace server {

void request_parser::reset() noexcept {
    reset_head();
    request_.body = {};
    request_.incoming = nullptr;
    if (!request_.trailers.empty()) request_.trailers.clear();
    consumed_ = 0;
}

/// A route that may take more than others continues from here; see begin_stream.
request_parser::progress request_parser::refuse_size() noexcept {
    refused_by_ = rule::max_body_bytes;
    return progress::refused;
}

request_parser::progress request_parser::read_chunks(char* data, std::size_t size) {
    switch (chunks_->decode(data + head_size_, size - head_size_)) {
        case chunked_decoder::progress::need_more: return progress::need_more;
        case chunked_decoder::progress::malformed: return refuse(rule::chunk);
        case chunked_decoder::progress::too_large: return refuse_size();
        case chunked_decoder::progress::complete: break;
    }
    request_.body = {data + head_size_, chunks_->decoded()};
    return is_whole(head_size_ + chunks_->consumed());
}

std::size_t request_parser::welcome(std::size_t size) const noexcept {
    if (head_size_ == 0) return limits_->max_pipelined_bytes;
    return limits_->max_pipelined_bytes +
           (chunks_ ? chunks_->missing() : head_size_ + static_cast<std::size_t>(length_) - size);
}

std::size_t request_parser::squeeze(char* data, std::size_t size) noexcept {
    if (!chunks_ || head_size_ == 0) return size;
    return head_size_ + chunks_->squeeze(data + head_size_, size - head_size_);
}

// ── a body that is not gathered, and what stands after a chunked one ───────────────────────────

/// Of a chunked body. Its trailers have been checked as they came.
request_parser::progress request_parser::is_whole(std::size_t consumed) {
    consumed_ = consumed;
    for (auto left = chunks_->trailers(); !left.empty();) {
        const auto line = left.substr(0, left.find('\r'));
        left.remove_prefix(line.size() + 2);
        const auto colon = line.find(':');
        const auto first = std::min(line.find_first_not_of(" \t", colon + 1), line.size());
        const auto value = line.substr(first, line.find_last_not_of(" \t") + 1 - first);
        request_.trailers.push_back({.known = http::field::unknown, .name = line.substr(0, colon), .value = value});
    }
    return progress::complete;
}

std::optional<std::uint64_t> request_parser::length() const noexcept {
    return chunks_ ? std::nullopt : std::optional(length_);
}

request_parser::progress request_parser::begin_stream(char* data, std::size_t size, std::uint64_t most) {
    refused_by_ = rule::none;
    assert(head_done() && size >= head_size_);
    const auto come = size - head_size_;
    if (!chunks_) {
        streamed_ = static_cast<std::size_t>(std::min<std::uint64_t>(come, length_));
        if (length_ > most) return refuse_size();
        length_ -= streamed_;
        consumed_ = head_size_ + streamed_;
        return length_ == 0 ? progress::complete : progress::need_more;
    }
    chunks_->allow(most);
    auto how =
        chunks_->is_within(most) ? chunks_->decode(data + head_size_, come) : chunked_decoder::progress::too_large;
    streamed_ = chunks_->decoded();
    switch (how) {
        case chunked_decoder::progress::need_more: return progress::need_more;
        case chunked_decoder::progress::malformed: return refuse(rule::chunk);
        case chunked_decoder::progress::too_large: return refuse_size();
        case chunked_decoder::progress::complete: break;
    }
    return is_whole(head_size_ + chunks_->consumed());
}

auto request_parser::feed(std::span<char> bytes) -> fed {
    if (!chunks_) {
        assert(bytes.size() <= length_ && "no more is read than is welcome");
        length_ -= bytes.size();
        return {length_ == 0 ? progress::complete : progress::need_more, bytes.size(), bytes.size()};
    }
    chunks_->pass();
    const auto how = chunks_->decode(bytes.data(), bytes.size());
    fed done{progress::need_more, chunks_->decoded(), chunks_->consumed()};
    if (how == chunked_decoder::progress::malformed) done.how = refuse(rule::chunk);
    if (how == chunked_decoder::progress::too_large) done.how = refuse_size();
    if (how == chunked_decoder::progress::complete) done.how = is_whole(head_size_);
    return done;
}

std::size_t request_parser::welcome_piece(std::size_t wanted, std::size_t behind) const noexcept {
    if (!chunks_) return static_cast<std::size_t>(std::min<std::uint64_t>(wanted, length_));
    return std::min(wanted,
                    std::max<std::size_t>(1, chunks_->missing() + std::min(behind, limits_->max_pipelined_bytes)));
}

}  // namespace server
