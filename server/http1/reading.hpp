#pragma once

#include <cassert>
#include <cstddef>
#include <optional>
#include <span>

#include "server/http1/answering.hpp"

namespace server {

/// What a connection reads: heads and bodies, the time by which they must be whole, and what comes after its end.
class http1_reading : public http1_answering {
public:
    using http1_answering::http1_answering;

    /// Where the next bytes go. Makes room, so it is not called while a handler runs.
    std::span<char> room();
    void received(std::size_t count, const moment& at) {
        if (phase_ == phase::linger) return linger_on(count, at);
        if (phase_ == phase::handle) [[unlikely]]
            return body_came(count, at);
        assert(count <= work_->room());
        // Bytes have come: what the tick saw of this connection is out of date.
        flags_.stirs = false;
        work_->end += count;
        received_ += count;
        if (waits_ != waiting::bytes) return;  // it has only looked
        waits_ = waiting::nothing;
        go(phase::parse);
    }
    /// It sends no more, or is gone.
    void peer_closed(const moment& at) noexcept;

protected:
    std::optional<step> parse(const moment& at);
    void read(const moment& at);
    bool brings_enough(lifecycle::clock::time_point now) noexcept;

    static constexpr std::chrono::milliseconds longest_linger{1'000};  ///< without a byte

private:
    void enter_reading(const moment& at);
    void linger_on(std::size_t count, const moment& at) noexcept;
};

}  // namespace server
