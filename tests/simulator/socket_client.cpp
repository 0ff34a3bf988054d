#include "tests/simulator/socket_client.hpp"

#include <charconv>
#include <utility>

#include "tests/simulator/world.hpp"
#include "tests/websocket/frames.hpp"

namespace simulator {

using std::chrono::microseconds;

socket_client::socket_client(world& in, nanoseconds one_way, std::uint64_t number)
    : guest(script::socket), world_(in), one_way_(one_way), think_(microseconds((number % 300) * 30)), number_(number) {
    requests_.push_back({.bytes = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"});
    for (std::uint64_t nth = 0; nth < 1 + number % 6; ++nth) {
        std::string text = "message " + std::to_string(nth) + std::string(number % 500, '.');
        requests_.push_back({.bytes = frames::text(text), .wanted = text});
    }
    requests_.push_back({.bytes = "the socket"});
}

void socket_client::begin() { way_ = world_.connect(*this, 8080, one_way_); }

void socket_client::send(std::string bytes) {
    sent_ += bytes.size();
    way_->send(std::move(bytes));
}

void socket_client::established() {
    is_open_ = true;
    connections_ = 1;
    auto& first = requests_.front();
    first.connection = connections_;
    first.sent_at = world_.now();
    send(first.bytes);
    first.ends = sent_;
}

void socket_client::send_message() {
    if (!is_open_ || next_ + 1 >= requests_.size() || closed_) return;
    auto& message = requests_[next_];
    message.connection = connections_;
    message.sent_at = world_.now();
    message.begins = sent_;
    send(message.bytes);
    message.ends = sent_;
}

void socket_client::received(std::string_view bytes) {
    in_ += bytes;
    if (!upgraded_ && !take_head()) return;
    while (take_frame()) {}
}

/// True: from here on there are frames.
bool socket_client::take_head() {
    const auto end = in_.find("\r\n\r\n");
    if (end == in_.npos || requests_.front().status != 0) return false;
    int status = 0;
    if (in_.starts_with("HTTP/1.1 ")) std::from_chars(in_.data() + 9, in_.data() + 12, status);
    if (status == 0) world_.broken("garbled", "an answer begins as none does", in_.substr(0, 60));
    requests_.front().status = status;
    if (status != 101) return false;
    in_.erase(0, end + 4);
    upgraded_ = true;
    itself().connection = connections_;
    itself().begins = 1;
    world_.later(*this, think_, [this] { send_message(); });
    return true;
}

bool socket_client::take_frame() {
    const auto at = [this](std::size_t nth) { return static_cast<std::size_t>(static_cast<unsigned char>(in_[nth])); };
    if (in_.size() < 2) return false;
    std::size_t size = at(1), head = 2;
    if ((size & 0x80U) != 0) return world_.broken("garbled", "a masked frame of a server"), in_.clear(), false;
    if (size >= 126) {
        const std::size_t end = size == 126 ? 4 : 10;
        if (in_.size() < end) return false;
        for (size = 0; head < end; ++head) size = size << 8U | at(head);
    }
    if (in_.size() < head + size) return false;
    const auto kind = static_cast<unsigned>(at(0)) & 0x0fU;
    auto payload = in_.substr(head, size);
    in_.erase(0, head + size);
    on_frame(kind, std::move(payload));
    return true;
}

void socket_client::on_frame(unsigned kind, std::string payload) {
    constexpr unsigned text = 1, close = 8, ping = 9;
    if (closed_) return world_.broken("answers", "a frame after the close", describe());
    if (kind == close) return on_close(frames::frame{.first = 0, .payload = payload}.code());
    if (kind == ping && is_open_) return send(frames::pong(payload));
    if (kind != text) return;
    if (next_ + 1 >= requests_.size() || requests_[next_].connection < 0)
        return world_.broken("answers", "a message that nobody has sent", describe());
    auto& message = requests_[next_++];
    message.status = 200;
    if (payload != message.wanted) world_.broken("garbled", "another message than was sent", describe());
    world_.later(*this, think_, [this] { send_message(); });
}

/// Clients answer by 1000 or by the same code, or not at all.
void socket_client::on_close(unsigned code) {
    closed_ = true;
    if (code == going_away)
        itself().status = static_cast<int>(code);
    else
        itself().garbled = true;
    for (auto& each : requests_)
        if (each.status == 0 && !each.garbled) each.stopped = true;
    if (is_open_ && number_ % 3 != 0) send(frames::close(number_ % 3 == 1 ? 1000 : code));
}

void socket_client::refused() { requests_.front().refused = true; }

}  // namespace simulator
