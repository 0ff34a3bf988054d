#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tracker/event.hpp"

namespace tracker {

// The bytes of a spool, as docs/spool-format.md has them. Pure functions and values; any thread.

/// What every segment begins with, before its first record.
inline constexpr std::string_view segment_magic = "CURFEW\x01\n";
inline constexpr std::size_t record_header_size = 16;

/// CRC-32C, Castagnoli's polynomial (RFC 3720, appendix B.4).
std::uint32_t crc32c(std::string_view bytes);

/// What `append_record` appends, in bytes.
std::size_t record_size(const event& event) noexcept;

/// Appends the record of `event` to `out`, `sequence` of its segment; the first is 1.
void append_record(std::string& out, std::uint64_t sequence, const event& event);

/// Reads records from a file, front to back. On one thread.
class record_reader {
public:
    /// From the byte `from` to the byte `to` of an open file, which must stay open.
    record_reader(int file, std::uint64_t from, std::uint64_t to) noexcept : file_(file), at_(from), end_(to) {}

    /// The next record; false at the end, or where there is no whole and intact one any more. Throws
    /// std::system_error when the file cannot be read.
    bool next(event& into);

    /// After `next` was false: goes on to the next intact record of a higher sequence, behind damaged
    /// bytes. False, and nothing has changed, when there is none: then what is left is a torn tail.
    bool skip_damage();

    std::uint64_t at() const noexcept { return at_; }              ///< the byte behind the last record that was whole
    std::uint64_t sequence() const noexcept { return sequence_; }  ///< of that record

private:
    bool fill(std::size_t bytes);
    void skip(std::size_t bytes) noexcept;
    std::string_view rest() const noexcept { return std::string_view(block_).substr(used_); }

    int file_;
    std::uint64_t at_, end_;
    std::uint64_t sequence_ = 0;
    std::string block_;  ///< of the file, from `at_ - used_`
    std::size_t used_ = 0;
};

}  // namespace tracker
