#include "server/websocket/sender.hpp"

#include <algorithm>
#include <utility>

namespace server::websocket {

bool sender::has_room(std::size_t size) noexcept {
    // A message that is larger than the bound goes where nothing waits, or it never would.
    if (out_.empty() || out_.size() + size <= limits_.max_backlog) return true;
    if (limits_.overflow == at_bound::close) overflows_ = true;
    return false;
}

sent sender::send(opcode kind, std::string_view data) {
    if (closed_ || overflows_) return sent::closed;
    if (!has_room(data.size())) return sent::dropped;
    out_.append([&](std::string& to) { append_frame(to, kind, data); });
    ++messages_;
    return sent::queued;
}

sent sender::send_compressed(opcode kind, std::string_view deflated) {
    if (closed_ || overflows_) return sent::closed;
    if (!has_room(deflated.size())) return sent::dropped;
    out_.append([&](std::string& to) { append_frame(to, kind, deflated, true); });
    ++messages_;
    return sent::queued;
}

sent sender::send(const shared_frame& frame, std::size_t written) {
    if (closed_ || overflows_) return sent::closed;
    if (!has_room(frame->size())) return sent::dropped;
    out_.append(frame);
    if (written > 0) wrote(written);
    ++messages_;
    return sent::queued;
}

void sender::wrote(std::size_t count) noexcept {
    written_ += count;
    out_.wrote(count);
}

void sender::blocked(std::size_t unacknowledged, lifecycle::clock::time_point now) noexcept {
    if (std::exchange(blocked_, true)) return;
    read_by_ = now + limits_.write_timeout;
    taken_ = written_ - std::min<std::uint64_t>(written_, unacknowledged);
}

/// What its kernel has acknowledged counts: a socket is writable again only when a third of its buffer is free.
bool sender::takes_nothing(lifecycle::clock::time_point now, std::size_t unacknowledged) noexcept {
    if (!blocked_ || now < read_by_) return false;
    const auto taken = written_ - std::min<std::uint64_t>(written_, unacknowledged);
    read_by_ = now + limits_.write_timeout;
    return std::exchange(taken_, taken) >= taken;
}

}  // namespace server::websocket
