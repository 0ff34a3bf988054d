#include "tracker/record.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/crc.hpp>
#include <boost/endian/conversion.hpp>
#include <cerrno>
#include <chrono>
#include <concepts>
#include <system_error>

namespace tracker {
namespace {

namespace endian = boost::endian;

// Offsets of the fields, from the start of a record.
constexpr std::size_t length_at = 4, sequence_at = 8, time_at = record_header_size, id_length_at = time_at + 8,
                      id_at = id_length_at + 2;
constexpr std::size_t smallest_record = id_at, smallest_payload = smallest_record - record_header_size;
constexpr std::size_t block_size = 128 * 1024;

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

/// False when the payload does not hold what it must, which a checksum that fits makes all but impossible.
bool decode(std::string_view record, event& into) {
    const std::size_t id_length = little<std::uint16_t>(record, id_length_at);
    if (id_at + id_length > record.size()) return false;
    using std::chrono::microseconds;
    into.time = std::chrono::system_clock::time_point(microseconds(little<std::int64_t>(record, time_at)));
    into.id = record.substr(id_at, id_length);
    into.data = record.substr(id_at + id_length);
    return true;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
    boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
    crc.process_bytes(bytes.data(), bytes.size());
    return crc.checksum();
}

std::size_t record_size(const event& event) noexcept {
    return id_at + std::min<std::size_t>(event.id.size(), UINT16_MAX) + event.data.size();
}

void append_record(std::string& out, std::uint64_t sequence, const event& event) {
    const auto start = out.size();
    const auto micros = std::chrono::floor<std::chrono::microseconds>(event.time).time_since_epoch().count();
    const auto id = std::string_view(event.id).substr(0, UINT16_MAX);
    append_little(out, std::uint32_t{0});
    append_little(out, static_cast<std::uint32_t>(record_size(event) - record_header_size));
    append_little(out, sequence);
    append_little(out, static_cast<std::int64_t>(micros));
    append_little(out, static_cast<std::uint16_t>(id.size()));
    out.append(id).append(event.data);

    std::string crc;
    append_little(crc, crc32c(std::string_view(out).substr(start + length_at)));
    out.replace(start, crc.size(), crc);
}

bool record_reader::next(event& into) {
    if (!fill(record_header_size)) return false;
    const std::size_t length = little<std::uint32_t>(rest(), length_at);
    // The length is looked at before the checksum: it must not make us read or allocate beyond the end.
    if (length < smallest_payload || !fill(record_header_size + length)) return false;
    const auto record = rest().substr(0, record_header_size + length);
    if (crc32c(record.substr(length_at)) != little<std::uint32_t>(record, 0) || !decode(record, into)) return false;
    sequence_ = little<std::uint64_t>(record, sequence_at);
    skip(record.size());
    return true;
}

bool record_reader::skip_damage() {
    record_reader ahead(file_, at_, end_);
    ahead.sequence_ = sequence_;
    event found;
    while (ahead.fill(record_header_size + 1)) {
        ahead.skip(1);
        const auto claimed = ahead.fill(record_header_size) ? little<std::uint64_t>(ahead.rest(), sequence_at) : 0;
        // The nth record has n - 1 before it: so few places look like one that each of these is worth a checksum.
        if (claimed <= sequence_ || claimed > ahead.at_ / smallest_record + 1) continue;
        const auto here = ahead.at_;
        if (!ahead.next(found)) continue;
        *this = record_reader(file_, here, end_);
        sequence_ = claimed - 1;
        return true;
    }
    return false;
}

void record_reader::skip(std::size_t bytes) noexcept {
    used_ += bytes;
    at_ += bytes;
}

/// Has `bytes` ready, read in blocks; false when the file ends before them.
bool record_reader::fill(std::size_t bytes) {
    if (rest().size() >= bytes) return true;
    if (end_ - at_ < bytes) return false;
    block_.erase(0, used_);
    used_ = 0;
    auto have = block_.size();
    block_.resize(std::min<std::uint64_t>(std::max(bytes, block_size), end_ - at_));
    while (have < block_.size()) {
        const auto got = ::pread(file_, block_.data() + have, block_.size() - have, static_cast<off_t>(at_ + have));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw std::system_error(errno, std::generic_category(), "read");
        if (got == 0) break;
        have += static_cast<std::size_t>(got);
    }
    block_.resize(have);
    return have >= bytes;
}

}  // namespace tracker
