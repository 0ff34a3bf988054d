#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "tracker/utf8.hpp"

namespace telemetry {

/// Writes the wire format of Protocol Buffers (protobuf.dev/programming-guides/encoding) into memory that is there:
/// canonical, as an encoder made from the .proto files would. What finds no room makes `fits` false, and all that
/// was written is void. Fields of 0 are written too: OTLP tells a 0 from what is not known. Any thread, one at a time.
class wire_writer {
public:
    static constexpr std::size_t longest_varint = 10;

    wire_writer(char* begin, char* end) noexcept : begin_(begin), at_(begin), end_(end) {}

    static constexpr std::size_t size_of_varint(std::uint64_t value) noexcept {
        return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
    }

    void varint(std::uint64_t value) noexcept {
        if (!has(longest_varint)) return;
        for (; value >= 0x80; value >>= 7) *at_++ = static_cast<char>(value | 0x80);
        *at_++ = static_cast<char>(value);
    }
    void raw(std::string_view bytes) noexcept {
        if (!has(bytes.size())) return;
        at_ = std::copy(bytes.begin(), bytes.end(), at_);  // nothing may be a null pointer, which memcpy does not take
    }

    /// uint64, int64, bool and enums.
    void number(unsigned field, std::uint64_t value) noexcept {
        varint(field << 3 | 0);
        varint(value);
    }
    /// fixed64, sfixed64.
    void fixed64(unsigned field, std::uint64_t value) noexcept {
        varint(field << 3 | 1);
        little(value);
    }
    void real(unsigned field, double value) noexcept { fixed64(field, std::bit_cast<std::uint64_t>(value)); }
    void fixed32(unsigned field, std::uint32_t value) noexcept {
        varint(field << 3 | 5);
        little(value);
    }
    void bytes(unsigned field, std::string_view value) noexcept {
        varint(field << 3 | 2);
        varint(value.size());
        raw(value);
    }
    /// An id, the most significant byte first.
    void id(unsigned field, std::uint64_t low) noexcept {
        varint(field << 3 | 2);
        varint(8);
        big(low);
    }
    void id(unsigned field, std::uint64_t high, std::uint64_t low) noexcept {
        varint(field << 3 | 2);
        varint(16);
        big(high);
        big(low);
    }
    template <class Value>
    void little(Value value) noexcept {
        if (!has(sizeof value)) return;
        std::memcpy(at_, &value, sizeof value);  // x86-64 and AArch64 are little-endian
        at_ += sizeof value;
    }

    /// A message within this one: what is written until `close` with what this returns.
    std::size_t open(unsigned field) noexcept {
        varint(field << 3 | 2);
        varint(0);  // room for one byte of length
        return size();
    }
    void close(std::size_t opened) noexcept {
        const auto length = fits_ ? size() - opened : 0;
        const auto more = size_of_varint(length) - 1;
        if (!fits_ || !has(more)) return;
        if (more > 0) std::memmove(begin_ + opened + more, begin_ + opened, length);
        auto* const end = at_ + more;
        at_ = begin_ + opened - 1;
        for (auto left = length;; left >>= 7) {
            *at_++ = static_cast<char>(left < 0x80 ? left : left | 0x80);
            if (left < 0x80) break;
        }
        at_ = end;
    }

    bool fits() const noexcept { return fits_; }
    std::size_t size() const noexcept { return static_cast<std::size_t>(at_ - begin_); }
    std::string_view view() const noexcept { return {begin_, size()}; }

private:
    void big(std::uint64_t value) noexcept { little(__builtin_bswap64(value)); }
    bool has(std::size_t room) noexcept {
        if (room <= static_cast<std::size_t>(end_ - at_)) [[likely]]
            return true;
        fits_ = false;
        return false;
    }

    char* begin_;
    char* at_;
    char* end_;
    bool fits_ = true;
};

/// At most so many bytes of a text leave in one attribute.
inline constexpr std::size_t longest_text = 1024;

/// Well-formed UTF-8, as a `string` must be: each byte that is not part of it becomes U+FFFD, and what is longer is cut
/// between two characters. A view of `text` where it is so already, else of `room`.
std::string_view sound_text(std::string_view text, std::string& room, std::size_t longest = longest_text);

/// Attributes: KeyValue messages in the field `field` of what is being written.
class attributes {
public:
    attributes(wire_writer& to, unsigned field) noexcept : to_(to), field_(field) {}

    /// Texts are UTF-8.
    void text(std::string_view key, std::string_view value) const noexcept {
        const auto inner = sized(value.size());
        begin(key, inner);
        to_.varint(1 << 3 | 2);
        to_.varint(value.size());
        to_.raw(value);
    }
    void number(std::string_view key, std::int64_t value) const noexcept {
        const auto bits = static_cast<std::uint64_t>(value);
        begin(key, 1 + wire_writer::size_of_varint(bits));
        to_.number(3, bits);
    }
    void truth(std::string_view key, bool value) const noexcept {
        begin(key, 2);
        to_.number(2, value ? 1 : 0);
    }
    void real(std::string_view key, double value) const noexcept {
        begin(key, 9);
        to_.real(4, value);
    }

private:
    static std::size_t sized(std::size_t length) noexcept { return 1 + wire_writer::size_of_varint(length) + length; }
    /// `inner`: bytes of the AnyValue.
    void begin(std::string_view key, std::size_t inner) const noexcept {
        to_.varint(field_ << 3 | 2);
        to_.varint(sized(key.size()) + sized(inner));
        to_.bytes(1, key);
        to_.varint(2 << 3 | 2);
        to_.varint(inner);
    }

    wire_writer& to_;
    unsigned field_;
};

}  // namespace telemetry
