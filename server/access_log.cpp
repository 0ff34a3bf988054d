#include "server/access_log.hpp"

#include <new>
#include <utility>

namespace server {

void line_text::grow(std::size_t by) {
    const auto used = static_cast<std::size_t>(at_ - begin_);
    std::string twice(2 * (used + by), '\0');
    std::copy(begin_, at_, twice.begin());
    larger_ = std::move(twice);
    begin_ = larger_.data();
    at_ = begin_ + used;
    end_ = begin_ + larger_.size();
}

/// Without inet_ntop(3), which costs more than the rest of a line.
line_text& line_text::operator<<(const boost::asio::ip::address& client) {
    if (!client.is_v4()) return *this << std::string_view(client.to_string());
    const auto bytes = client.to_v4().to_bytes();
    for (std::size_t nth = 0; nth < bytes.size(); ++nth) {
        if (nth > 0) *this << '.';
        *this << std::uint64_t{bytes[nth]};
    }
    return *this;
}

bool access_lines::add(const access_log& log, std::string_view text,
                       std::span<const lifecycle::log_fact> facts) noexcept {
    const auto before = lines_.size();
    try {
        log.append(lines_, text, facts);
    } catch (const std::bad_alloc&) {
        lines_.resize(before);
        return false;
    }
    return before == 0;
}

void access_lines::write(access_log& log) noexcept {
    try {
        if (!lines_.empty()) log.write(lines_);
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): no memory for them; serving goes on
    }
    lines_.clear();
}

}  // namespace server
