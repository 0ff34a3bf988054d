#pragma once

#include <cassert>
#include <cstddef>
#include <optional>
#include <utility>

#include "server/http1/state.hpp"

namespace server {

/// What a connection sends: how far it has got with that, how fast its client takes it, and the body of a stream.
class http1_sending : public http1_state {
public:
    using http1_state::http1_state;

    void wrote(std::size_t count) {
        work_->written += count;
        sent_ += count;
        assert(work_->written <= work_->out.size());
        if (!work_->flushed()) return;
        // Only when all is out: until then `written` is the place in it.
        work_->out.clear();
        work_->written = 0;
        if (state_ == state::streaming) return;
        // A request has finished when its answer is in the socket, not when it was made: a client that leaves before
        // counts as gone. A stream has finished when its last piece is.
        changes_.finished += std::exchange(unflushed_, 0U);
    }
    /// The socket is full. `unacknowledged`: see `measured`.
    void blocked(std::size_t unacknowledged, const moment& at);
    void writable() noexcept;
    void lost() noexcept;
    void measured(std::size_t unacknowledged, const moment& at);
    void piece_came(const moment& at);

protected:
    void begin_stream(const moment& at);
    void add_piece();
    std::optional<step> ask_piece(const moment& at);
    void end_stream(const moment& at);
    bool reads_on(std::size_t unacknowledged, const moment& at) noexcept;
    void close_stream();
    /// How a stream has ended that was told of the drain: `whole` with all of it in the socket.
    void count_end(bool whole) noexcept {
        if (std::exchange(flags_.told_end, false)) [[unlikely]]
            count_told(whole);
    }

private:
    void count_told(bool whole) noexcept;
    void watch_reader(std::size_t unacknowledged, const moment& at) noexcept;
};

}  // namespace server
