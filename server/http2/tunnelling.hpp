#pragma once

#include "server/http2/sending.hpp"

namespace server::http2 {

/// Streams that other sessions live on (RFC 8441); see tunnel.
class tunnelling : public sending {
public:
    using sending::sending;

    /// Handlers that have waited for more of a body, or for its end, and tunnels go on if it has come. After each
    /// event, until none is to be woken.
    void wake(const moment& at);

protected:
    void open_tunnel(stream& stream);
    void end_tunnel(stream& stream, bool whole);

private:
    friend class tunnel;

    void count_asked(tunnel& of) noexcept;
    void drive(stream& stream);
};

}  // namespace server::http2
