// A client of a WebSocket on a real socket, which does what a test says.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tests/support/client.hpp"
#include "tests/websocket/frames.hpp"

namespace websocket_peer {

inline std::string handshake(std::string_view path = "/ws", std::string_view fields = {}) {
    return support::get(path,
                        "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
                            std::string(fields));
}

class peer {
public:
    explicit peer(support::client on, std::string_view path = "/ws", std::string_view fields = {})
        : client_(std::move(on)) {
        client_.send(handshake(path, fields));
        read_until([this] { return seen().find("\r\n\r\n") != std::string::npos; });
        const auto end = seen().find("\r\n\r\n");
        head_ = seen().substr(0, end == std::string::npos ? end : end + 4);
        taken_ = head_.size();
    }
    bool is_open() const { return head_.starts_with("HTTP/1.1 101 "); }
    const std::string& head() const { return head_; }
    bool send(std::string_view bytes) { return client_.send(bytes); }
    /// The next frame; none when the connection has ended first.
    std::optional<frames::frame> receive() {
        std::size_t size = 0;
        if (!read_until([&] { return (size = whole()) > 0; })) return std::nullopt;
        auto frame = frames::parse(seen().substr(taken_, size)).front();
        taken_ += size;
        return frame;
    }
    /// What comes back for a text.
    std::string echo(std::string_view text) {
        send(frames::text(text));
        const auto frame = receive();
        return frame ? frame->payload : "nothing";
    }
    support::client& client() { return client_; }

private:
    const std::string& seen() const { return client_.rest(); }
    std::size_t whole() const {
        const auto bytes = std::string_view(seen()).substr(taken_);
        const auto at = [&](std::size_t nth) {
            return static_cast<std::size_t>(static_cast<unsigned char>(bytes[nth]));
        };
        if (bytes.size() < 2) return 0;
        std::size_t size = at(1), head = 2;
        if (size >= 126) {
            head = size == 126 ? 4 : 10;
            if (bytes.size() < head) return 0;
            size = 0;
            for (std::size_t nth = 2; nth < head; ++nth) size = size << 8U | at(nth);
        }
        return bytes.size() >= head + size ? head + size : 0;
    }
    template <class Done>
    bool read_until(const Done& done) {
        while (!done()) {
            const auto before = seen().size();
            client_.receive_some(before + 1);
            if (seen().size() == before) return false;
        }
        return true;
    }

    support::client client_;
    std::string head_;
    std::size_t taken_ = 0;
};

}  // namespace websocket_peer
