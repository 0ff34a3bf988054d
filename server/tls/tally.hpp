#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace server::tls {

/// Why there was no handshake. The list is closed, so no client can make a series.
enum class refusal : std::uint8_t {
    clear_text,           ///< HTTP in clear
    protocol,             ///< a version of TLS that is not spoken
    cipher,               ///< nothing in common
    certificate_missing,  ///< the client has shown none
    certificate_refused,  ///< that of the client: expired, or not of ours
    alert,                ///< by the client, which does not like ours above all
    malformed,            ///< what came is no handshake
    gone,                 ///< the client has left in the middle of one
    cut                   ///< it lasted too long, or to the end of the stop
};
constexpr std::size_t refusals = 9;

std::string_view to_string(refusal refusal) noexcept;

/// What the sessions of a port have come to. Written by all loops, read by any thread: a handshake costs a thousand
/// times what this does.
struct tally {
    std::array<std::array<std::atomic<std::uint64_t>, 2>, 2> done{};  ///< by version (1.2, 1.3), and resumed or not
    std::array<std::atomic<std::uint64_t>, refusals> refused{};

    void add(refusal why) noexcept { refused[static_cast<std::size_t>(why)].fetch_add(1, std::memory_order_relaxed); }
};

}  // namespace server::tls
