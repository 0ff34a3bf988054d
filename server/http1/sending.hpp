#pragma once

#include <cstddef>
#include <optional>

#include "server/http1/state.hpp"

namespace server {

/// What a connection sends: how far it has got with that, how fast its client takes it, and the body of a stream.
class http1_sending : public http1_state {
public:
    using http1_state::http1_state;

    void wrote(std::size_t count);
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

private:
    void close_stream();
    void watch_reader(std::size_t unacknowledged, const moment& at) noexcept;
};

}  // namespace server
