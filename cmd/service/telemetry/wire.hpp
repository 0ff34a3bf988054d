#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
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
    static constexpr std::size_t longest_varint = 10, longest_key = 2;

    wire_writer(char* begin, char* end) noexcept : begin_(begin), at_(begin), end_(end) {}

    static constexpr std::size_t size_of_varint(std::uint64_t value) noexcept {
        return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
    }

    /// Where so many bytes may be written, which then are `used` up to their end; nullptr: they find no room.
    char* room(std::size_t bytes) noexcept {
        if (bytes <= static_cast<std::size_t>(end_ - at_)) [[likely]]
            return at_;
        fits_ = false;
        return nullptr;
    }
    void used(char* end) noexcept { at_ = end; }

    void varint(std::uint64_t value) noexcept {
        if (auto* const at = room(longest_varint); at != nullptr) used(put_varint(at, value));
    }
    void raw(std::string_view bytes) noexcept {
        auto* const at = room(bytes.size());
        if (at == nullptr) return;
        used(std::copy(bytes.begin(), bytes.end(), at));  // nothing may be a null pointer, which memcpy does not take
    }

    /// uint64, int64, bool and enums.
    void number(unsigned field, std::uint64_t value) noexcept {
        varint(field << 3 | 0);
        varint(value);
    }
    /// fixed64, sfixed64.
    void fixed64(unsigned field, std::uint64_t value) noexcept { fixed(field << 3 | 1, value); }
    void real(unsigned field, double value) noexcept { fixed64(field, std::bit_cast<std::uint64_t>(value)); }
    void fixed32(unsigned field, std::uint32_t value) noexcept { fixed(field << 3 | 5, value); }
    void bytes(unsigned field, std::string_view value) noexcept {
        varint(field << 3 | 2);
        varint(value.size());
        raw(value);
    }
    /// An id, the most significant byte first.
    void id(unsigned field, std::uint64_t low) noexcept { big(field, std::array{low}); }
    void id(unsigned field, std::uint64_t high, std::uint64_t low) noexcept { big(field, std::array{high, low}); }

    /// An element of a packed field.
    template <class Value>
    void little(Value value) noexcept {
        auto* const at = room(sizeof value);
        if (at == nullptr) return;
        std::memcpy(at, &value, sizeof value);  // x86-64 and AArch64 are little-endian
        used(at + sizeof value);
    }

    /// A message within this one: what is written until `close` with what this returns. `bytes_of_length` are kept for
    /// its length; when that takes more or fewer, the message is moved.
    std::size_t open(unsigned field, std::size_t bytes_of_length = 1) noexcept {
        auto* const at = room(longest_key + bytes_of_length);
        if (at != nullptr) used(put_varint(at, field << 3 | 2) + bytes_of_length);
        return size();
    }
    void close(std::size_t opened, std::size_t bytes_of_length = 1) noexcept {
        if (!fits_) return;
        const auto length = size() - opened;
        const auto needed = size_of_varint(length);
        if (needed > bytes_of_length && room(needed - bytes_of_length) == nullptr) return;
        auto* const at = begin_ + opened - bytes_of_length;
        if (needed != bytes_of_length) std::memmove(at + needed, begin_ + opened, length);
        used(put_varint(at, length) + length);
    }

    bool fits() const noexcept { return fits_; }
    std::size_t size() const noexcept { return static_cast<std::size_t>(at_ - begin_); }
    std::string_view view() const noexcept { return {begin_, size()}; }

private:
    // By a pointer of its own: a char may be part of any object, of this one too, so that the compiler would read `at_`
    // again after each.
    static char* put_varint(char* at, std::uint64_t value) noexcept {
        for (; value >= 0x80; value >>= 7) *at++ = static_cast<char>(value | 0x80);
        *at++ = static_cast<char>(value);
        return at;
    }
    template <class Value>
    void fixed(unsigned key, Value value) noexcept {
        auto* at = room(longest_key + sizeof value);
        if (at == nullptr) return;
        at = put_varint(at, key);
        std::memcpy(at, &value, sizeof value);
        used(at + sizeof value);
    }
    template <std::size_t Words>
    void big(unsigned field, std::array<std::uint64_t, Words> words) noexcept {
        auto* at = room(longest_key + 1 + sizeof words);
        if (at == nullptr) return;
        at = put_varint(at, field << 3 | 2);
        *at++ = static_cast<char>(sizeof words);
        for (auto& word : words) word = __builtin_bswap64(word);
        std::memcpy(at, words.data(), sizeof words);
        used(at + sizeof words);
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
    /// `field` is below 16, so that its key is one byte.
    attributes(wire_writer& to, unsigned field) noexcept : to_(to), field_(field) { assert(field < 16); }

    /// Texts are UTF-8.
    void text(std::string_view key, std::string_view value) const noexcept {
        if (key.size() + value.size() > longest_short) return long_text(key, value);
        auto* at = to_.room(around_short + key.size() + value.size());
        if (at == nullptr) return;
        const auto put = [&at](std::size_t byte) { *at++ = static_cast<char>(byte); };
        put(field_ << 3 | 2);
        put(around_short - 2 + key.size() + value.size());
        put(1 << 3 | 2);
        put(key.size());
        at = std::copy(key.begin(), key.end(), at);
        put(2 << 3 | 2);
        put(2 + value.size());
        put(1 << 3 | 2);
        put(value.size());
        to_.used(std::copy(value.begin(), value.end(), at));
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
    static constexpr std::size_t around_short = 8;                        ///< keys and lengths, a byte each
    static constexpr std::size_t longest_short = 127 + 2 - around_short;  ///< key and value

    static std::size_t sized(std::size_t length) noexcept { return 1 + wire_writer::size_of_varint(length) + length; }
    /// `inner`: bytes of the AnyValue.
    void begin(std::string_view key, std::size_t inner) const noexcept {
        to_.varint(field_ << 3 | 2);
        to_.varint(sized(key.size()) + sized(inner));
        to_.bytes(1, key);
        to_.varint(2 << 3 | 2);
        to_.varint(inner);
    }

    [[gnu::noinline]] void long_text(std::string_view key, std::string_view value) const noexcept {
        const auto inner = sized(value.size());
        begin(key, inner);
        to_.varint(1 << 3 | 2);
        to_.varint(value.size());
        to_.raw(value);
    }

    wire_writer& to_;
    unsigned field_;
};

}  // namespace telemetry
