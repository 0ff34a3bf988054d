#pragma once

#include "server/connection_parts.hpp"

namespace server {

/// What comes on a connection before its first request: a header of the PROXY protocol, and the handshake of the layer
/// that it speaks through. Only on the loop's thread.
class connection_opening : public connection_parts {
protected:
    using connection_parts::connection_parts;
    ~connection_opening() = default;

    /// The address that decides whether its peer is believed is that of the client which a header names, where there is
    /// one.
    void trust();
    /// Its requests say who asks, also those that no handler is asked about: a workspace has had other users before,
    /// and some that do not exist any more.
    void lend(std::unique_ptr<workspace> to_machine) noexcept;

    bool awaits_header() const noexcept { return proxied_ && proxied_->how == proxy_header::progress::need_more; }
    /// `done`: the header has been read, and what comes next is the protocol's. It is looked at before it is taken, so
    /// that nothing of that is.
    transport::outcome read_proxy_header(const moment& at);
    /// Nobody is there to be answered in HTTP: it is counted, and closed.
    void refuse_header(rule by, const moment& at);

    /// When many handshakes come at once they are done a few at a time, between the requests of others: the socket
    /// stays ready.
    bool may_read() noexcept {
        const auto* const between = socket_.between();
        return between == nullptr || between->now_in() != layer::stage::quiet || may_shake_hands();
    }
    /// `done`: the client has shaken hands.
    transport::outcome shake(const moment& at);

private:
    bool may_shake_hands() noexcept;
    void skip_another_header();
};

}  // namespace server
