#pragma once

#include <cstdint>
#include <utility>

namespace server {

/// How many clients that have sent their hello are dealt with in one turn of a loop. A handshake computes for some
/// 0.4 ms, and the requests of others wait meanwhile; the sockets of those that find no place stay ready.
///
/// Only on the loop's thread.
class handshake_limit {
public:
    static constexpr int a_turn = 8;  ///< some 3 ms

    /// Whether one more may begin in that turn (poll_set::turn), which counts it.
    bool admits(std::uint64_t turn) noexcept {
        if (std::exchange(turn_, turn) != turn) begun_ = 0;
        return begun_++ < a_turn;
    }

private:
    std::uint64_t turn_ = 0;
    int begun_ = 0;  ///< in that turn
};

}  // namespace server
