#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace server::tls {

/// Looks at what a client sends in clear for a ClientHello that says it is larger than any real one: for
/// nine bytes OpenSSL takes 175 KB and clears most of it, since it believes a length of up to 131,396. The hellos of
/// today's clients have at most 2,300 bytes.
class hello_limit {
public:
    static constexpr std::size_t most = 16'384;

    /// What has come next. False: there is such a hello in it. `encrypts`: the version is TLS 1.2, where everything
    /// after a ChangeCipherSpec is encrypted; before it is known, and in 1.3, it is not.
    bool takes(std::span<const char> bytes, bool encrypts) noexcept;

private:
    /// The head of a record (RFC 8446 section 5.1), then that of each message in it (section 4).
    struct head {
        std::array<std::uint8_t, 5> bytes{};
        std::size_t has = 0;
        bool complete(char next, std::size_t size) noexcept {
            bytes[has++] = static_cast<std::uint8_t>(next);
            return has == size;
        }
    };
    bool begin_message() noexcept;

    head record_, message_;
    std::size_t left_of_record_ = 0, left_of_message_ = 0;
    bool looks_ = true;
};

}  // namespace server::tls
