#pragma once

#include <cstdint>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>

#include "lifecycle/lines.hpp"
#include "server/client_table.hpp"
#include "server/http1/machine.hpp"
#include "server/net/proxy_header.hpp"
#include "server/net/socket_address.hpp"
#include "server/net/transport.hpp"
#include "server/session.hpp"

namespace server {

class loop_resources;

/// A client that has been accepted.
struct arrival {
    socket_address peer;
    rule without = rule::none;  ///< the limit that it is above; see admission::patience
    client_table::share share;  ///< of the connections that one client may have
};

/// What a connection is made of, and what the tick, the logs and people see of it. Nothing here changes it.
class connection_parts {
public:
    using state = connection_state;

    connection_parts(const connection_parts&) = delete;
    connection_parts& operator=(const connection_parts&) = delete;

    // Of a connection that has a session: of the request that it is about, else of itself.

    state now_in() const noexcept { return session_ ? session_->now_in() : machine_.now_in(); }
    lifecycle::clock::time_point since() const noexcept { return session_ ? session_->since() : machine_.since(); }
    lifecycle::clock::time_point deadline() const noexcept {
        return session_ ? session_->in_focus().deadline : machine_.view().deadline;
    }
    bool abandoned() const noexcept {
        const auto* const serving = current();
        return serving != nullptr && serving->abandoned;
    }
    bool straggled() const noexcept { return !session_ && machine_.straggled(); }
    bool awaits_word() const noexcept { return session_ ? session_->awaits_word() : machine_.awaits_word(); }
    bool has_workspace() const noexcept { return session_ || machine_.has_workspace(); }
    bool forced() const noexcept { return session_ ? session_->forced() : machine_.forced(); }
    bool worked_during_stop() const noexcept {
        return session_ ? session_->worked_during_stop() : machine_.worked_during_stop();
    }
    std::uint32_t served() const noexcept { return session_ ? session_->served() : machine_.served(); }
    ending_letters ending() const noexcept { return session_ ? session_->ending() : machine_.ending(); }
    const options& limits() const noexcept { return session_ ? session_->limits() : machine_.limits(); }
    /// nullptr: it speaks HTTP/1.1.
    session* its_session() const noexcept { return session_.get(); }
    lifecycle::clock::time_point born() const noexcept { return born_; }
    /// The access log is to have nothing of it: it has asked for nothing but what is left out there.
    bool unlogged() const noexcept { return served() > 0 && unlogged_ == served(); }
    int descriptor() const noexcept { return socket_.descriptor(); }
    const socket_address& peer() const noexcept { return peer_; }
    /// Whom it works for, as far as a header in front of it and its request say; else the peer.
    const socket_address& client() const noexcept;
    std::string describe() const;  ///< "GET /slow", or "connection"
    std::source_location waits_at() const noexcept;
    /// Of the request that it works on; empty when that is part of no trace.
    std::string_view trace_id() const noexcept;
    /// Of the same request, as it was sent; empty when it works on none.
    std::string_view target() const noexcept;
    /// "request …, trace …", for the lines of the log that are about this request.
    std::string identity() const;
    /// Each of them has that request's id and trace as facts too; to be used at once.
    lifecycle::lines lines_to(spdlog::logger& log) const noexcept;
    /// Whom its client's certificate names; empty when it has shown none.
    std::string_view subject() const noexcept {
        const auto* const between = socket_.between();
        return between == nullptr ? std::string_view() : between->subject();
    }

protected:
    connection_parts(loop_resources& on, transport socket, arrival client) noexcept;
    ~connection_parts() = default;

    const exchange* current() const noexcept;
    const server::request* asked_of() const noexcept;
    const socket_address& caller() const noexcept { return proxied_ ? proxied_->caller : peer_; }
    bool stirs() const noexcept { return socket_.between() != nullptr && socket_.between()->stirs(); }

    /// Of a connection that begins with a header of the PROXY protocol.
    struct proxied {
        proxy_header header;
        proxy_header::progress how = proxy_header::progress::need_more;
        socket_address caller;  ///< the client that it names; else the peer
    };

    loop_resources& loop_;
    transport socket_;
    std::uint32_t unlogged_ = 0;  ///< requests that the access log has none of
    lifecycle::clock::time_point born_{};
    socket_address peer_;
    std::unique_ptr<proxied> proxied_;
    client_table::share share_;
    http1_machine machine_;
    std::unique_ptr<session> session_;  ///< once it is another protocol that it speaks
};

}  // namespace server
