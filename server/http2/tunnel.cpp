#include "server/http2/tunnel.hpp"

#include <algorithm>
#include <cstring>

#include "server/forget.hpp"
#include "server/http2/tunnelling.hpp"

namespace server::http2 {

using interest = poll_set::interest;

transfer tunnel::read(std::span<char> into) {
    const auto count = std::min(into.size(), on_.body.unread());
    if (count > 0) {
        std::copy_n(on_.body.bytes.begin() + static_cast<std::ptrdiff_t>(on_.body.taken), count, into.begin());
        of_.took(on_, count);
        return {.how = transfer_end::done, .count = count};
    }
    if (!ended_ && on_.id != 0) return {};
    told_end_ = true;
    return {.how = transfer_end::ended};
}

bool tunnel::holds() const noexcept { return on_.body.unread() > 0 || ((ended_ || on_.id == 0) && !told_end_); }

transfer tunnel::write(std::string_view bytes) {
    if (on_.id == 0 || finished_) return {.how = transfer_end::ended};
    if (!has_room()) return {};
    const auto count = std::min(bytes.size(), most - unacknowledged());
    out_.append(bytes.substr(0, count));
    of_.framer_.resume(on_.id);
    return {.how = transfer_end::done, .count = count};
}

void tunnel::finish() {
    finished_ = true;
    if (on_.id != 0) of_.framer_.resume(on_.id);
}

void tunnel::discard() noexcept { of_.drop_body(on_); }

void tunnel::proceed() noexcept {
    of_.count_asked(*this);
    of_.wake_later(on_);
    of_.by_.proceed();
}

server::session::next tunnel::drive(const moment& at) {
    const bool reads = wanted_ == interest::read || wanted_ == interest::both;
    const bool writes = wanted_ == interest::write || wanted_ == interest::both;
    if ((reads && holds()) || (writes && (has_room() || on_.id == 0))) inside->ready(at);
    return inside->proceed(at);
}

std::ptrdiff_t tunnel::give(std::span<std::uint8_t> into, std::uint32_t& flags) noexcept {
    const auto count = std::min(into.size(), unacknowledged());
    if (count > 0) std::memcpy(into.data(), out_.data() + sent_, count);
    if (count > 0 && !inside) on_.since = of_.at_.now;  // its client still takes some
    sent_ += count;
    if (sent_ == out_.size()) {
        forget(out_);
        sent_ = 0;
        if (finished_) flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    if (count == 0 && !finished_) return NGHTTP2_ERR_DEFERRED;
    if (wanted_ == interest::write || wanted_ == interest::both) of_.wake_later(on_);
    return static_cast<std::ptrdiff_t>(count);
}

}  // namespace server::http2
