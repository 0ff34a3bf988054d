#include "server/websocket/reader.hpp"
#include "server/forget.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace server::websocket {
namespace {

constexpr unsigned fin_bit = 0x80, rsv1_bit = 0x40, other_rsv = 0x30, mask_bit = 0x80;

bool is_control(opcode kind) noexcept { return kind >= opcode::close; }

/// What deflate adds to bytes that do not shrink: five for each stored block of 64 KiB at most, and a few.
std::size_t with_overhead(std::size_t size) noexcept { return size + size / 4096 + 64; }

}  // namespace

std::size_t reader::head_length() const noexcept {
    if (head_size_ < 2) return 2;
    const auto length = static_cast<unsigned char>(head_[1]) & 0x7fU;
    return 2 + (length == 126 ? 2U : length == 127 ? 8U : 0U) + key_.size();
}

/// False: more is to come. What can be said of the first two bytes is said before the others, unless all are there.
bool reader::read_head(std::span<char>& bytes) {
    constexpr std::size_t usual = 2 + sizeof(masking_key);
    if (head_size_ == 0 && bytes.size() >= usual && (static_cast<unsigned char>(bytes[1]) & 0x7fU) < 126) {
        std::memcpy(head_.data(), bytes.data(), usual);
        head_size_ = usual;
        bytes = bytes.subspan(usual);
        return true;
    }
    while (!bytes.empty() && head_size_ < head_length()) {
        const auto count = std::min(head_length() - head_size_, bytes.size());
        std::memcpy(head_.data() + head_size_, bytes.data(), count);
        head_size_ = static_cast<std::uint8_t>(head_size_ + count);
        bytes = bytes.subspan(count);
        if (head_size_ == 2) break;
    }
    return head_size_ >= 2;
}

/// 0: none, as far as it has come.
std::uint16_t reader::fault_of_head() {
    const auto first = static_cast<unsigned char>(head_[0]), second = static_cast<unsigned char>(head_[1]);
    const bool control = is_control(kind_);
    const auto number = static_cast<unsigned>(kind_);
    const bool known = number <= 2 || (number >= 8 && number <= 10);
    const bool rsv1 = (first & rsv1_bit) != 0;
    if (!known || (first & other_rsv) != 0 || (second & mask_bit) == 0) return protocol_error;
    if (control && (!fin_ || rsv1 || (second & 0x7fU) > largest_control)) return protocol_error;
    if (rsv1 && (inflates_ == nullptr || kind_ == opcode::continuation)) return protocol_error;  // RFC 7692 section 6.1
    if (!control && (kind_ == opcode::continuation) != in_message_) return protocol_error;
    if (head_size_ < head_length()) return 0;
    if ((second & 0x7fU) == 127 && (size_ >> 63U) != 0) return protocol_error;
    if (((second & 0x7fU) == 126 && size_ < 126) || ((second & 0x7fU) == 127 && size_ <= 0xffff)) return protocol_error;
    if (control) return 0;
    const bool squeezed = in_message_ ? compressed_ : rsv1;
    const auto most = squeezed ? with_overhead(limits_.max_message) : limits_.max_message;
    const auto had = in_message_ ? gathered_.size() : 0;
    const auto fragments = in_message_ ? fragments_ + 1 : 1;
    return size_ > most - std::min(most, had) || fragments > limits_.max_fragments ? too_large : 0;
}

void reader::begin_frame() noexcept {
    std::memcpy(key_.data(), head_.data() + head_length() - key_.size(), key_.size());
    head_size_ = 0;
    left_ = size_;
    in_frame_ = true;
    if (is_control(kind_)) return;
    if (!in_message_) {
        in_message_ = true;
        message_kind_ = kind_;
        compressed_ = (static_cast<unsigned char>(head_[0]) & rsv1_bit) != 0;
        fragments_ = 0;
    }
    ++fragments_;
}

auto reader::next(std::span<char>& bytes) -> event {
    if (std::exchange(delivered_, false)) forget_message();
    for (;;) {
        if (!in_frame_) {
            if (!read_head(bytes)) return {};
            kind_ = static_cast<opcode>(static_cast<unsigned char>(head_[0]) & 0x0fU);
            fin_ = (static_cast<unsigned char>(head_[0]) & fin_bit) != 0;
            size_ = static_cast<unsigned char>(head_[1]) & 0x7fU;
            if (size_ >= 126 && head_size_ == head_length()) {
                const auto end = head_length() - key_.size();
                size_ = 0;
                for (std::size_t nth = 2; nth < end; ++nth)
                    size_ = size_ << 8U | static_cast<unsigned char>(head_[nth]);
            }
            if (const auto code = fault_of_head(); code != 0) return fault(code);
            if (head_size_ < head_length()) {
                if (bytes.empty()) return {};
                continue;
            }
            begin_frame();
        }
        const auto found = is_control(kind_) ? read_control(bytes) : read_data(bytes);
        if (found.what != kind::need_more || in_frame_) return found;
    }
}

/// It may stand between the fragments of a message (RFC 6455 section 5.4).
auto reader::read_control(std::span<char>& bytes) -> event {
    const auto had = static_cast<std::size_t>(size_ - left_);
    const auto part = bytes.first(std::min<std::size_t>(bytes.size(), static_cast<std::size_t>(left_)));
    unmask(part, key_, had);
    bytes = bytes.subspan(part.size());
    left_ -= part.size();
    std::string_view payload(part.data(), part.size());
    if (had > 0 || left_ > 0) {
        kept_.append(payload);
        payload = kept_;
    }
    if (left_ > 0) return {};
    in_frame_ = false;
    delivered_ = true;
    if (kind_ != opcode::close) return {.what = kind_ == opcode::ping ? kind::ping : kind::pong, .data = payload};
    if (payload.empty()) return {.what = kind::close, .data = {}, .code = no_status};
    if (payload.size() == 1) return fault(protocol_error);
    const auto code = static_cast<std::uint16_t>(static_cast<unsigned char>(payload[0]) << 8U |
                                                 static_cast<unsigned char>(payload[1]));
    if (!may_be_sent(code)) return fault(protocol_error);
    payload.remove_prefix(2);
    utf8_check reason;
    if (!reason.add(payload) || !reason.whole()) return fault(not_utf8);
    return {.what = kind::close, .data = payload, .code = code};
}

auto reader::read_data(std::span<char>& bytes) -> event {
    const auto had = static_cast<std::size_t>(size_ - left_);
    const auto part = bytes.first(std::min<std::size_t>(bytes.size(), static_cast<std::size_t>(left_)));
    unmask(part, key_, had);
    bytes = bytes.subspan(part.size());
    left_ -= part.size();
    const std::string_view payload(part.data(), part.size());
    const bool checks = message_kind_ == opcode::text && !compressed_;
    if (checks && !utf8_.add(payload)) return fault(not_utf8);
    const bool whole = left_ == 0 && fin_;
    const bool in_place = whole && gathered_.empty();
    if (!in_place) gathered_.append(payload);
    if (left_ > 0) return {};
    in_frame_ = false;
    return whole ? message(in_place ? payload : std::string_view(gathered_)) : event{};
}

auto reader::message(std::string_view data) -> event {
    in_message_ = false;
    delivered_ = true;
    const bool text = message_kind_ == opcode::text;
    if (compressed_) {
        switch (inflates_->inflate(data, limits_.max_message, kept_)) {
            case compression::outcome::malformed: return fault(not_utf8);  // RFC 7692 has no code; 1007: no such data
            case compression::outcome::too_large: return fault(too_large);
            case compression::outcome::done: break;
        }
        data = kept_;
        if (text && !utf8_.add(data)) return fault(not_utf8);
    }
    if (text && !utf8_.whole()) return fault(not_utf8);
    utf8_.reset();
    return {.what = kind::message, .text = text, .data = data, .compressed = compressed_};
}

void reader::forget_message() noexcept {
    forget(kept_);
    if (!in_message_) forget(gathered_);
}

}  // namespace server::websocket
