#include "tracker/spool/record.hpp"

#include <sys/random.h>

#include <algorithm>
#include <boost/crc.hpp>
#include <boost/endian/conversion.hpp>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <concepts>
#include <system_error>
#include <utility>

namespace tracker {
namespace {

namespace endian = boost::endian;

// Offsets of the fields, from the start of a head, a payload, a copy of the header.
constexpr std::size_t check_at = 0, digest_at = 8, length_at = 16, sequence_at = 20;
constexpr std::size_t time_at = 0, id_length_at = 8, id_at = smallest_payload;
constexpr std::size_t headers_length_size = 2;
/// In the length of the id: headers follow it.
constexpr std::uint16_t has_headers = 0x8000, longest_id = 0x7FFF;
constexpr std::size_t salt_at = segment_magic.size(), header_check_at = salt_at + salt_size;

template <std::integral T>
void append_little(std::string& out, T value) {
    endian::native_to_little_inplace(value);
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <std::integral T>
T little(std::string_view bytes, std::size_t at) {
    T value{};
    bytes.copy(reinterpret_cast<char*>(&value), sizeof value, at);
    return endian::little_to_native(value);
}

template <std::integral T>
void put_little(std::string& out, std::size_t at, T value) {
    endian::native_to_little_inplace(value);
    out.replace(at, sizeof value, reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

segment_key::segment_key(std::string_view salt, version of)
    : version_(of),
      salt_(salt),
      key_{little<std::uint64_t>(salt, 0), little<std::uint64_t>(salt, 8)},
      mask_(little<std::uint64_t>(salt, 16)),
      point_(little<std::uint64_t>(salt, 24)),
      digest_(point_) {
    assert(salt.size() == salt_size);
}

segment_key segment_key::random() {
    std::array<char, salt_size> salt{};
    // So few bytes come whole or not at all (getrandom(2)).
    while (::getrandom(salt.data(), salt.size(), 0) != ssize_t{salt.size()})
        if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "getrandom");
    return segment_key(std::string_view(salt.data(), salt.size()));
}

std::uint64_t segment_key::header_check() const noexcept {
    return siphash(key_, {little<std::uint64_t>(magic(), 0), mask_, point_});
}

std::string segment_key::header() const {
    std::string bytes;
    // Twice, since without it no record of the segment could be read.
    for (int copy = 0; copy < 2; ++copy) {
        bytes.append(magic()).append(salt_);
        append_little(bytes, header_check());
    }
    return bytes;
}

std::optional<segment_key> segment_key::read(std::string_view header) {
    constexpr auto each = segment_header_size / 2;
    for (std::size_t at = 0; at + each <= header.size() && at < segment_header_size; at += each) {
        const auto copy = header.substr(at, each);
        const bool third = copy.starts_with(segment_magic);
        if (!third && !copy.starts_with(second_magic)) continue;
        const segment_key key(copy.substr(salt_at, salt_size), third ? version::third : version::second);
        // The check is computed with the key itself: a salt with one wrong bit does not fit its own check.
        if (little<std::uint64_t>(copy, header_check_at) == key.header_check()) return key;
    }
    return std::nullopt;
}

std::optional<record_head> record_head::read(std::string_view bytes, const segment_key& key, std::uint64_t position) {
    record_head head;
    head.check = little<std::uint64_t>(bytes, check_at);
    head.digest = little<std::uint64_t>(bytes, digest_at);
    head.length = little<std::uint32_t>(bytes, length_at);
    head.sequence = key.masked(little<std::uint64_t>(bytes, sequence_at));
    // First what costs nothing.
    if (head.length < smallest_payload) return std::nullopt;
    if (head.check != key.check(position, head.sequence, head.length, head.digest)) return std::nullopt;
    return head;
}

std::uint32_t crc32c(std::string_view bytes) {
    boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
    crc.process_bytes(bytes.data(), bytes.size());
    return crc.checksum();
}

std::size_t record_size(const event& event) noexcept {
    const auto headers = event.headers.empty() ? 0 : headers_length_size + event.headers.bytes();
    return smallest_record + std::min<std::size_t>(event.id.size(), longest_id) + headers + event.data.size();
}

void append_record(std::string& out, const segment_key& key, std::uint64_t position, std::uint64_t sequence,
                   const event& event) {
    const auto start = out.size();
    const auto length = static_cast<std::uint32_t>(record_size(event) - record_head_size);
    const auto micros = std::chrono::floor<std::chrono::microseconds>(event.time).time_since_epoch().count();
    // As record_size() counts it: the highest bit of its length says that headers follow.
    const auto id = std::string_view(event.id).substr(0, longest_id);
    const bool headers = !event.headers.empty();
    assert(!headers || key.of() == segment_key::version::third);
    out.append(length_at - check_at, '\0');  // check and digest, which are of what follows
    append_little(out, length);
    append_little(out, key.masked(sequence));
    append_little(out, static_cast<std::int64_t>(micros));
    append_little(out, static_cast<std::uint16_t>(headers ? id.size() | has_headers : id.size()));
    out.append(id);
    if (headers) {
        append_little(out, static_cast<std::uint16_t>(event.headers.bytes()));
        out.append(event.headers.encoded());
    }
    out.append(event.data);

    assert(out.size() - start == record_size(event) && "room is made by that");
    // Of the payload as it stands in the buffer: nothing is put together twice.
    const auto digest = key.digest(std::string_view(out).substr(start + record_head_size));
    put_little(out, start + check_at, key.check(position, sequence, length, digest));
    put_little(out, start + digest_at, digest);
}

namespace {

struct payload_parts {
    std::string_view id, headers, data;
};

/// None where the payload does not hold what it must.
std::optional<payload_parts> split(std::string_view payload, bool may_have_headers) noexcept {
    if (payload.size() < smallest_payload) return std::nullopt;
    const auto claimed = little<std::uint16_t>(payload, id_length_at);
    const bool has = may_have_headers && (claimed & has_headers) != 0;
    auto rest = payload.substr(id_at);
    const auto take = [&rest](std::size_t length) {
        const auto part = rest.substr(0, length);
        rest.remove_prefix(part.size());
        return part;
    };
    const std::size_t id_length = has ? claimed & longest_id : claimed;
    if (rest.size() < id_length) return std::nullopt;
    const auto id = take(id_length);
    if (!has) return payload_parts{id, {}, rest};
    if (rest.size() < headers_length_size) return std::nullopt;
    const std::size_t length = little<std::uint16_t>(take(headers_length_size), 0);
    if (rest.size() < length || !event_headers::is_encoding(rest.substr(0, length))) return std::nullopt;
    const auto headers = take(length);
    return payload_parts{id, headers, rest};
}

}  // namespace

bool is_payload(std::string_view payload, bool may_have_headers) noexcept {
    return split(payload, may_have_headers).has_value();
}

bool decode_payload(std::string_view payload, bool may_have_headers, event& into) {
    const auto parts = split(payload, may_have_headers);
    if (!parts) return false;
    using std::chrono::microseconds;
    into.time = std::chrono::system_clock::time_point(microseconds(little<std::int64_t>(payload, time_at)));
    into.id = parts->id;
    into.data = parts->data;
    into.headers = parts->headers.empty() ? event_headers() : *event_headers::decode(parts->headers);
    return true;
}

}  // namespace tracker
