#include "server/tls/hello_limit.hpp"

#include <algorithm>

namespace server::tls {
namespace {

constexpr std::uint8_t change_cipher_spec = 20, handshake = 22, encrypted = 23;  // RFC 8446 section 5.1
constexpr std::uint8_t client_hello = 1;                                         // section 4
constexpr std::size_t size_of_record_head = 5, size_of_message_head = 4;

}  // namespace

bool hello_limit::takes(std::span<const char> bytes, bool encrypts) noexcept {
    while (looks_ && !bytes.empty()) {
        if (left_of_record_ == 0) {
            const bool complete = record_.complete(bytes.front(), size_of_record_head);
            bytes = bytes.subspan(1);
            if (!complete) continue;
            record_.has = 0;
            const auto what = record_.bytes[0];
            left_of_record_ = static_cast<std::size_t>(record_.bytes[3]) << 8 | record_.bytes[4];
            // What begins otherwise is no record, and that is for OpenSSL to say.
            looks_ = what >= change_cipher_spec && what <= encrypted && !(what == change_cipher_spec && encrypts);
            continue;
        }
        const bool read = record_.bytes[0] == handshake;
        if (read && left_of_message_ == 0) {
            const bool complete = message_.complete(bytes.front(), size_of_message_head);
            bytes = bytes.subspan(1);
            --left_of_record_;
            if (complete && !begin_message()) return false;
            continue;
        }
        const auto skipped = std::min({bytes.size(), left_of_record_, read ? left_of_message_ : left_of_record_});
        bytes = bytes.subspan(skipped);
        left_of_record_ -= skipped;
        if (read) left_of_message_ -= skipped;
    }
    return true;
}

bool hello_limit::begin_message() noexcept {
    message_.has = 0;
    const auto& [what, high, middle, low, unused] = message_.bytes;
    left_of_message_ = static_cast<std::size_t>(high) << 16 | static_cast<std::size_t>(middle) << 8 | low;
    return what != client_hello || left_of_message_ <= most;
}

}  // namespace server::tls
