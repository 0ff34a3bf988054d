#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tracker/event.hpp"
#include "tracker/keyed_hash.hpp"

namespace tracker {

// The bytes of a spool, as docs/spool-format.md has them. Pure functions and values; any thread.

/// What segments begin with that were written by earlier versions: they are read, and never written.
inline constexpr std::string_view first_magic = "CURFEW\x01\n";
inline constexpr std::string_view second_magic = "CURFEW\x02\n";
inline constexpr std::string_view segment_magic = "CURFEW\x03\n";

inline constexpr std::size_t salt_size = 32;
/// Twice magic, salt and check, so that no one damaged byte makes a segment unreadable.
inline constexpr std::size_t segment_header_size = 2 * (segment_magic.size() + salt_size + 8);

inline constexpr std::size_t record_head_size = 28;
/// Of a payload: its time and the length of its id.
inline constexpr std::size_t smallest_payload = 10;
inline constexpr std::size_t smallest_record = record_head_size + smallest_payload;

/// What makes the records of one segment impossible to imitate: bytes that only a reader of its file can know.
class segment_key {
public:
    /// The format of the segment: those of the first have no key.
    enum class version : std::uint8_t { second = 2, third };

    /// Of 32 bytes: those of a file or, for a test, any.
    explicit segment_key(std::string_view salt, version of = version::third);
    /// With fresh ones from getrandom(2). Throws std::system_error.
    static segment_key random();
    /// That of the segment that begins with these bytes; none when neither copy of its header is whole.
    static std::optional<segment_key> read(std::string_view header);

    version of() const noexcept { return version_; }
    /// What the segment begins with, segment_header_size bytes.
    std::string header() const;

    /// What stands in place of a sequence, and back.
    std::uint64_t masked(std::uint64_t sequence) const noexcept { return sequence ^ mask_; }
    std::uint64_t digest(std::string_view payload) const noexcept { return digest_(payload); }
    /// Of the head at the byte `position` of the file.
    std::uint64_t check(std::uint64_t position, std::uint64_t sequence, std::uint32_t length,
                        std::uint64_t digest) const noexcept {
        return siphash(key_, {position, sequence, length, digest});
    }

private:
    std::string_view magic() const noexcept { return version_ == version::third ? segment_magic : second_magic; }
    std::uint64_t header_check() const noexcept;

    version version_;
    std::string salt_;
    std::array<std::uint64_t, 2> key_;
    std::uint64_t mask_;
    std::uint64_t point_;
    polynomial_digest digest_;
};

/// What a head says, its check left out.
struct record_head {
    std::uint64_t check = 0, digest = 0, sequence = 0;
    std::uint32_t length = 0;  ///< of the payload

    /// Of the first record_head_size bytes; none where the check is not that of a head at this place.
    static std::optional<record_head> read(std::string_view bytes, const segment_key& key, std::uint64_t position);
};

/// CRC-32C, Castagnoli's polynomial (RFC 3720, appendix B.4).
std::uint32_t crc32c(std::string_view bytes);

/// What `append_record` appends, in bytes.
std::size_t record_size(const event& event) noexcept;

/// Appends the record of `event` to `out`. It is to stand at the byte `position` of its segment, `sequence` of it; the
/// first is 1. In a segment of the second version an event has no headers.
void append_record(std::string& out, const segment_key& key, std::uint64_t position, std::uint64_t sequence,
                   const event& event);

/// Whether `decode_payload` would take it; asks for no memory.
bool is_payload(std::string_view payload, bool may_have_headers) noexcept;

/// False when the payload does not hold what it must, which a check that is right makes all but impossible.
/// `may_have_headers`: as those of the third version do.
bool decode_payload(std::string_view payload, bool may_have_headers, event& into);

}  // namespace tracker
