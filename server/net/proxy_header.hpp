#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "server/net/socket_address.hpp"

namespace server {

/// The header that a proxy sends at the start of a connection to name its client: the PROXY protocol, version 1 and 2
/// (haproxy.org, proxy-protocol.txt of 2.6, sections 2.1 and 2.2). Without I/O: bytes in, and how many of them were the
/// header's. However they are cut, the outcome is the same.
///
/// Version 1 has at most 107 bytes. Version 2 is taken up to 4 KiB; what stands after its addresses (TLVs) is skipped,
/// but for a checksum (PP2_TYPE_CRC32C), which must be right. Whatever the proxy does not know or does not want to say
/// (LOCAL, UNKNOWN, AF_UNSPEC, no stream) is a header that names no client. Port 0 and the destination 0.0.0.0 are
/// taken; of the destination nothing is kept.
///
/// No allocation. Only on one thread.
class proxy_header {
public:
    static constexpr std::size_t longest_v1 = 107;
    static constexpr std::size_t longest_v2 = 4096;

    enum class progress : std::uint8_t {
        need_more,
        complete,
        missing,   ///< what has come begins no such header
        malformed  ///< it has begun, and is not valid
    };
    struct result {
        progress how = progress::need_more;
        std::size_t taken = 0;  ///< of `bytes`; what is after them belongs to whatever comes next
    };

    /// Not once it is something else than `need_more`.
    result feed(std::string_view bytes) noexcept;

    bool begun() const noexcept { return size_ > 0; }
    /// Of a complete one: the proxy's client; none when the header does not name it.
    const std::optional<socket_address>& client() const noexcept { return client_; }

private:
    progress take(char byte) noexcept;
    progress take_v1(std::size_t at, char byte) noexcept;
    progress read_line(std::string_view line) noexcept;
    progress take_v2(std::size_t at, char byte) noexcept;
    progress begin_rest() noexcept;
    char take_tlv(std::size_t at, char byte) noexcept;
    progress end_v2() noexcept;
    void name_client(unsigned family) noexcept;

    std::uint8_t held(std::size_t at) const noexcept { return static_cast<std::uint8_t>(held_[at]); }
    std::size_t number_at(std::size_t at) const noexcept { return std::size_t{held(at)} << 8 | held(at + 1); }

    std::array<char, longest_v1> held_{};  ///< the first bytes; of version 2 all that is looked at again
    std::size_t size_ = 0;                 ///< bytes that have come
    std::size_t length_ = 0;               ///< of version 2, once it is known
    std::size_t tlv_ = 0;                  ///< where the TLV begins that is read now, or the next one
    std::size_t tlv_length_ = 0;           ///< with its own head, once that is known
    std::uint32_t crc_ = 0xffff'ffff;      ///< of all that has come, the checksum itself as zeros
    std::uint32_t expected_ = 0;           ///< the checksum in the header
    std::uint8_t tlv_type_ = 0;
    bool has_crc_ = false;
    std::optional<socket_address> client_;
};

}  // namespace server
