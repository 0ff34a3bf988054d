#include "server/chunked.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "server/head.hpp"

namespace server {
namespace {

constexpr unsigned max_digits = 16;  // a size of 64 bits

bool blank(char c) noexcept { return c == ' ' || c == '\t'; }

bool visible_or_blank(char c) noexcept { return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f); }

}  // namespace

chunked_decoder::progress chunked_decoder::decode(char* data, std::size_t size) {
    while (read_ < size) {
        if (state_ == at::data) {
            const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(left_, size - read_));
            // In place: the body becomes one piece without a buffer of its own.
            std::memmove(data + written_, data + read_, take);
            read_ += take;
            written_ += take;
            left_ -= take;
            if (left_ == 0) state_ = at::data_cr;
            continue;
        }
        const auto result = step(data[read_++]);
        if (result != progress::need_more) return result;
    }
    return progress::need_more;
}

void chunked_decoder::pass() noexcept {
    assert(written_ <= read_);
    passed_ += written_;
    read_ = written_ = 0;
}

std::size_t chunked_decoder::squeeze(char* data, std::size_t size) noexcept {
    assert(written_ <= read_ && read_ <= size);
    std::memmove(data + written_, data + read_, size - read_);
    size -= read_ - written_;
    read_ = written_;
    return size;
}

chunked_decoder::progress chunked_decoder::digit(char c) noexcept {
    // Leading zeros count, or a line with a size might never end.
    if (++digits_ > max_digits) return progress::malformed;
    left_ = left_ * 16 + static_cast<std::uint64_t>(hex_digit(c));
    state_ = at::size;
    return progress::need_more;
}

/// Counts a byte of an extension. Extensions mean nothing here, and a client could send them without end, so there
/// are limits for one chunk and for all of them.
bool chunked_decoder::extends() noexcept {
    return ++overhead_ <= limits_->max_chunk_extension_bytes && ++extensions_ <= limits_->max_chunk_extensions_bytes;
}

chunked_decoder::progress chunked_decoder::step(char c) {
    const auto go = [this](at next) {
        state_ = next;
        return progress::need_more;
    };
    switch (state_) {
        case at::size_first:
            left_ = digits_ = 0;
            overhead_ = 0;
            return hex_digit(c) >= 0 ? digit(c) : progress::malformed;
        case at::size:
            if (hex_digit(c) >= 0) return digit(c);
            if (c == '\r') return go(at::size_lf);
            [[fallthrough]];
        case at::size_blank:  // section 7.1.1: blanks are for an extension to stand after
            if (c == ';') return go(at::extension);
            return blank(c) && extends() ? go(at::size_blank) : progress::malformed;
        case at::extension:
            if (c == '\r') return go(at::size_lf);
            if (c == '"') state_ = at::quoted;
            return visible_or_blank(c) && extends() ? progress::need_more : progress::malformed;
        case at::quoted:  // a quote that does not end in its line: others read on after the line end
            if (!visible_or_blank(c) || !extends()) return progress::malformed;
            return c == '"' ? go(at::extension) : c == '\\' ? go(at::quoted_pair) : progress::need_more;
        case at::quoted_pair: return visible_or_blank(c) && extends() ? go(at::quoted) : progress::malformed;
        case at::size_lf:
            if (c != '\n') return progress::malformed;
            overhead_ = 0;
            if (left_ == 0) return go(at::trailer_first);
            state_ = at::data;
            return is_within(most_) ? progress::need_more : progress::too_large;
        case at::data_cr: return c == '\r' ? go(at::data_lf) : progress::malformed;
        case at::data_lf: return c == '\n' ? go(at::size_first) : progress::malformed;
        default: return trailer(c);
    }
}

chunked_decoder::progress chunked_decoder::trailer(char c) {
    const auto keep = [&](at next) {
        if (++overhead_ > limits_->max_trailer_bytes) return progress::malformed;
        trailers_ += c;
        state_ = next;
        return progress::need_more;
    };
    const auto end_of_line = [&](at next) {
        trailers_ += c;
        state_ = next;
        return progress::need_more;
    };
    switch (state_) {
        case at::trailer_first:
            if (c == '\r') {
                state_ = at::last_lf;
                return progress::need_more;
            }
            return is_token(c) ? keep(at::trailer_name) : progress::malformed;
        case at::trailer_name:
            if (c == ':') return keep(at::trailer);
            return is_token(c) ? keep(at::trailer_name) : progress::malformed;
        case at::trailer:
            if (c == '\r') return end_of_line(at::trailer_lf);
            return visible_or_blank(c) ? keep(at::trailer) : progress::malformed;
        case at::trailer_lf: return c == '\n' ? end_of_line(at::trailer_first) : progress::malformed;
        case at::last_lf: return c == '\n' ? progress::complete : progress::malformed;
        default: return progress::malformed;
    }
}

}  // namespace server
