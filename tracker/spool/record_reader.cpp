#include "tracker/spool/record_reader.hpp"

#include <algorithm>
#include <boost/endian/conversion.hpp>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace tracker {
namespace {

constexpr std::size_t block_size = 128 * 1024;
/// What is read before a watch is asked again: less than 10 ms of any disk that is well.
constexpr std::size_t most_at_once = 256 * 1024;

constexpr std::size_t sequence_at = 20;

// Offsets of the first version.
constexpr std::size_t old_head_size = 16, old_length_at = 4, old_sequence_at = 8;

const unsigned char* byte(std::string_view bytes, std::size_t at) {
    return reinterpret_cast<const unsigned char*>(bytes.data() + at);
}

}  // namespace

bool record_reader::next(event& into) {
    const auto record = record_here();
    if (!record || !decode_payload(record->payload, may_have_headers(), into)) return false;
    step_over(*record);
    return true;
}

bool record_reader::pass() {
    const auto record = record_here();
    if (!record) return false;
    step_over(*record);
    return true;
}

std::optional<record_head> record_reader::head_here() {
    if (!fill(record_head_size)) return std::nullopt;
    const auto head = record_head::read(rest(), *key_, at_);
    return head && head->sequence > sequence_ ? head : std::nullopt;
}

std::optional<record_reader::found> record_reader::record_here() {
    if (key_ == nullptr) return first_version_here();
    const auto head = head_here();
    if (!head || !fill(record_head_size + head->length)) return std::nullopt;
    const auto payload = rest().substr(record_head_size, head->length);
    // What is no event is damage, or it would be found again and again and never be read.
    if (key_->digest(payload) != head->digest || !is_payload(payload, may_have_headers())) return std::nullopt;
    return found{head->sequence, payload};
}

std::optional<record_reader::found> record_reader::first_version_here() {
    using namespace boost::endian;
    if (!fill(old_head_size)) return std::nullopt;
    const std::size_t length = load_little_u32(byte(rest(), old_length_at));
    // The length is looked at before the checksum: it must not make us read or allocate beyond the end.
    if (length < smallest_payload || !fill(old_head_size + length)) return std::nullopt;
    const auto record = rest().substr(0, old_head_size + length);
    if (crc32c(record.substr(old_length_at)) != load_little_u32(byte(record, 0))) return std::nullopt;
    return found{load_little_u64(byte(record, old_sequence_at)), record.substr(old_head_size)};
}

void record_reader::step_over(const found& record) noexcept {
    assert(record.sequence > sequence_ || key_ == nullptr);
    sequence_ = record.sequence;
    skip(static_cast<std::size_t>(record.payload.data() + record.payload.size() - rest().data()));
}

bool record_reader::skip_damage() {
    // After damage a record of the first version cannot be told from the data of one that is damaged.
    if (key_ == nullptr) return false;
    const auto at = at_;
    const auto sequence = sequence_;
    if (find_record()) return true;
    at_ = at;
    sequence_ = sequence;
    have_ = used_ = 0;
    return false;
}

bool record_reader::find_record() {
    for (;;) {
        if (const auto head = head_here()) {
            // One that is genuine says where the next begins, and nothing between is looked at.
            if (!fill(record_head_size + head->length)) return false;
            if (record_here()) return true;
            skip(record_head_size + head->length);
            sequence_ = head->sequence;
        } else {
            if (!fill(1)) return false;
            skip(1);
            if (!find_head()) return false;
        }
    }
}

/// Goes on to the next place with a genuine head. The sequence of a place is worth a look only if it is between that of
/// the last record and the number of records that could stand before it; since all sequences are masked, a client that
/// writes data hits that in one of 2^64 / records tries, and so the check is not even computed.
bool record_reader::find_head() {
    while (fill(record_head_size)) {
        const auto bytes = rest();
        const auto places = bytes.size() - record_head_size + 1;
        const auto most = (at_ + places) / smallest_record + 1;
        const auto range = most > sequence_ ? most - sequence_ : 0;
        for (std::size_t i = 0; i < places; ++i) {
            const auto claimed = key_->masked(boost::endian::load_little_u64(byte(bytes, i + sequence_at)));
            if (claimed - sequence_ - 1 >= range) continue;
            if (!record_head::read(bytes.substr(i), *key_, at_ + i)) continue;
            skip(i);
            return true;
        }
        skip(places);
    }
    return false;
}

void record_reader::skip(std::size_t bytes) noexcept {
    assert(bytes <= have_ - used_ && at_ + bytes <= end_);
    used_ += bytes;
    at_ += bytes;
}

/// Has `bytes` ready, read in blocks; false when the file ends before them.
bool record_reader::fill(std::size_t bytes) {
    if (rest().size() >= bytes) return true;
    if (stopped_ || end_ < at_ || end_ - at_ < bytes) return false;
    have_ -= used_;
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(std::max(bytes, block_size), end_ - at_));
    if (wanted > room_) {
        auto larger = std::make_unique_for_overwrite<char[]>(wanted);
        if (have_ > 0) std::memcpy(larger.get(), block_.get() + used_, have_);
        block_ = std::move(larger);
        room_ = wanted;
    } else if (have_ > 0) {
        std::memmove(block_.get(), block_.get() + used_, have_);
    }
    used_ = 0;
    assert(have_ <= room_ && wanted <= room_ && "a block has room for it");
    return read_up_to(wanted) && have_ >= bytes;
}

/// False when it was stopped; less than `bytes` when the file has become shorter.
bool record_reader::read_up_to(std::size_t bytes) {
    while (have_ < bytes) {
        const std::span into(block_.get() + have_, std::min(bytes - have_, most_at_once));
        const auto got = disk_.read(file_, into, static_cast<off_t>(at_ + have_));
        if (got < 0) throw std::system_error(errno, std::generic_category(), "pread");
        if (got == 0) return true;
        have_ += static_cast<std::size_t>(got);
        stopped_ = watch_ != nullptr && watch_->has_read(static_cast<std::uint64_t>(got));
        if (stopped_) return false;
    }
    return true;
}

}  // namespace tracker
