#include "server/net/proxy_header.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>

namespace server {

namespace ip = boost::asio::ip;
using progress = proxy_header::progress;

namespace {

constexpr std::string_view v1_begins("PROXY ");
constexpr std::string_view v2_begins("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t v2_head = 16;  // signature, version and command, family and transport, length
constexpr std::size_t tlv_head = 3;  // type, length
constexpr unsigned of_a_stream = 1;
constexpr std::uint8_t type_crc32c = 0x03;

enum family : unsigned { unspecified, inet, inet6, local };

/// Of both addresses and ports.
constexpr std::array<std::size_t, 4> address_block{0, 12, 36, 216};

/// RFC 3720 appendix B.4, four bits at a time: a header is a few dozen bytes.
constexpr std::uint32_t crc32c(std::uint32_t crc, char byte) noexcept {
    constexpr auto table = [] {
        std::array<std::uint32_t, 16> made{};
        for (std::uint32_t nth = 0; nth < made.size(); ++nth) {
            auto value = nth;
            for (int bit = 0; bit < 4; ++bit) value = value & 1 ? value >> 1 ^ 0x82f6'3b78 : value >> 1;
            made[nth] = value;
        }
        return made;
    }();
    crc ^= static_cast<std::uint8_t>(byte);
    crc = crc >> 4 ^ table[crc & 15];
    return crc >> 4 ^ table[crc & 15];
}

/// As it stands in version 1: decimal, without zeros in front.
std::optional<std::uint16_t> read_port(std::string_view text) noexcept {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size() || (text.size() > 1 && text[0] == '0'))
        return std::nullopt;
    return port;
}

/// Up to the next blank, which goes with it.
std::string_view next_word(std::string_view& rest) noexcept {
    const auto blank = rest.find(' ');
    const auto word = rest.substr(0, blank);
    rest.remove_prefix(blank == rest.npos ? rest.size() : blank + 1);
    return word;
}

}  // namespace

auto proxy_header::feed(std::string_view bytes) noexcept -> result {
    for (std::size_t taken = 0; taken < bytes.size();)
        if (const auto how = take(bytes[taken++]); how != progress::need_more) return {.how = how, .taken = taken};
    return {.how = progress::need_more, .taken = bytes.size()};
}

progress proxy_header::take(char byte) noexcept {
    const auto at = size_++;
    if (at < held_.size()) held_[at] = byte;
    return held_[0] == v2_begins[0] ? take_v2(at, byte) : take_v1(at, byte);
}

// ── version 1 ───────────────────────────────────────────────────────────────────────────────────

progress proxy_header::take_v1(std::size_t at, char byte) noexcept {
    if (at < v1_begins.size()) return byte == v1_begins[at] ? progress::need_more : progress::missing;
    const bool behind_cr = held_[at - 1] == '\r';
    if (behind_cr && byte == '\n') return read_line({held_.data(), at - 1});
    if (behind_cr || byte == '\n' || size_ == longest_v1) return progress::malformed;
    return progress::need_more;
}

/// Section 2.1: "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443", a blank between two words and no more.
progress proxy_header::read_line(std::string_view line) noexcept {
    auto rest = line.substr(v1_begins.size());
    const auto protocol = next_word(rest);
    if (protocol == "UNKNOWN") return progress::complete;  // whatever follows
    const auto source = read_ip(next_word(rest));
    const auto destination = read_ip(next_word(rest));
    const auto source_port = read_port(next_word(rest));
    const auto destination_port = read_port(rest);
    if (!source || !destination || !source_port || !destination_port) return progress::malformed;
    const bool fits = (protocol == "TCP4" && source->is_v4() && destination->is_v4()) ||
                      (protocol == "TCP6" && source->is_v6() && destination->is_v6());
    if (!fits) return progress::malformed;
    client_ = socket_address(*source, *source_port);
    return progress::complete;
}

// ── version 2 ───────────────────────────────────────────────────────────────────────────────────

progress proxy_header::take_v2(std::size_t at, char byte) noexcept {
    if (at < v2_begins.size() && byte != v2_begins[at]) return progress::missing;
    if (length_ > 0 && at >= tlv_) byte = take_tlv(at, byte);
    crc_ = crc32c(crc_, byte);
    if (size_ == v2_head) return begin_rest();
    return size_ == length_ ? end_v2() : progress::need_more;
}

/// Section 2.2. Of a LOCAL header nothing but the length is looked at: its family is to be ignored.
progress proxy_header::begin_rest() noexcept {
    const unsigned version = held(12) >> 4, command = held(12) & 15, family = held(13) >> 4, transport = held(13) & 15;
    if (version != 2 || command > 1) return progress::malformed;
    length_ = v2_head + number_at(14);
    if (length_ > longest_v2) return progress::malformed;
    const bool known = family < address_block.size() && transport <= 2;
    const bool fits = known && v2_head + address_block[family] <= length_;
    if (command == 1 && !fits) return progress::malformed;
    tlv_ = fits ? v2_head + address_block[family] : length_ + 1;  // beyond the end: nowhere
    return size_ == length_ ? end_v2() : progress::need_more;
}

/// Section 2.2.7. What the byte counts for in the checksum: those of the checksum itself for nothing.
char proxy_header::take_tlv(std::size_t at, char byte) noexcept {
    const auto nth = at - tlv_;
    const auto value = static_cast<std::uint8_t>(byte);
    if (nth == 0) {
        tlv_type_ = value;
        tlv_length_ = 0;
    } else if (nth < tlv_head) {
        tlv_length_ = tlv_length_ << 8 | value;
        if (nth + 1 == tlv_head) tlv_length_ += tlv_head;
    }
    bool counts = true;
    if (nth >= tlv_head && tlv_type_ == type_crc32c && tlv_length_ == tlv_head + 4) {
        expected_ = nth == tlv_head ? value : expected_ << 8 | value;
        has_crc_ = true;
        counts = false;
    }
    if (nth + 1 >= tlv_head && nth + 1 == tlv_length_) tlv_ = at + 1;
    return counts ? byte : '\0';
}

progress proxy_header::end_v2() noexcept {
    assert(size_ == length_);
    const unsigned command = held(12) & 15, family = held(13) >> 4, transport = held(13) & 15;
    const bool sound = tlv_ == size_;  // else what is after the addresses is no row of TLVs
    const bool right = !has_crc_ || expected_ == ~crc_;
    const bool names = command == 1 && family != unspecified;
    if ((names && !sound) || (sound && !right)) return progress::malformed;
    if (names && transport == of_a_stream) name_client(family);
    return progress::complete;
}

void proxy_header::name_client(unsigned family) noexcept {
    const auto* const from = held_.data() + v2_head;
    if (family == local) {
        client_ = socket_address();
    } else if (family == inet) {
        ip::address_v4::bytes_type bytes;
        std::copy_n(from, bytes.size(), bytes.begin());
        client_ = socket_address(ip::address_v4(bytes), static_cast<std::uint16_t>(number_at(24)));
    } else {
        assert(family == inet6 && "begin_rest lets no other through");
        ip::address_v6::bytes_type bytes;
        std::copy_n(from, bytes.size(), bytes.begin());
        client_ = socket_address(ip::address_v6(bytes), static_cast<std::uint16_t>(number_at(48)));
    }
}

}  // namespace server
