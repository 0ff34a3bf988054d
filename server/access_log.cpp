#include "server/access_log.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include "server/copy_text.hpp"

namespace server {

using lifecycle::clock;

void line_text::grow(std::size_t by) {
    const auto used = static_cast<std::size_t>(at_ - begin_);
    std::string twice(2 * (used + by), '\0');
    std::copy(begin_, at_, twice.begin());
    larger_ = std::move(twice);
    begin_ = larger_.data();
    at_ = begin_ + used;
    end_ = begin_ + larger_.size();
}

namespace {

/// 0 to 255.
char* put_byte(char* at, unsigned value) noexcept {
    if (value >= 100) *at++ = static_cast<char>('0' + value / 100);
    if (value >= 10) *at++ = static_cast<char>('0' + value / 10 % 10);
    *at++ = static_cast<char>('0' + value % 10);
    return at;
}

}  // namespace

/// An IPv4 address without inet_ntop(3), which costs more than the rest of a line.
char* put_address(char* at, const socket_address& address) {
    if (address.is_unix()) return copy_text(at, "unix");
    const auto ip = address.address();
    if (!ip.is_v4()) return copy_text(at, address.host());
    const auto bytes = ip.to_v4().to_bytes();
    at = put_byte(at, bytes[0]);
    for (std::size_t nth = 1; nth < bytes.size(); ++nth) {
        *at++ = '.';
        at = put_byte(at, bytes[nth]);
    }
    return at;
}

void access_lines::compare_clocks() noexcept {
    wall_is_ahead_ = std::chrono::system_clock::now().time_since_epoch() - clock::now().time_since_epoch();
}

bool access_lines::add(const access_log& log, clock::time_point when, std::string_view text,
                       std::span<const lifecycle::log_fact> facts) noexcept {
    const auto before = lines_.size();
    try {
        log.append(lines_, std::chrono::system_clock::time_point(when.time_since_epoch() + wall_is_ahead_), text,
                   facts);
    } catch (const std::bad_alloc&) {
        lines_.resize(before);
        return false;
    }
    return before == 0;
}

void access_lines::write_some(access_log& log) noexcept {
    try {
        log.write(lines_);
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): no memory for them; serving goes on
    }
    lines_.clear();
}

}  // namespace server
