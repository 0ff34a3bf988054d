#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "server/decision.hpp"
#include "server/exchange.hpp"
#include "server/net/poll_set.hpp"
#include "server/wire.hpp"
#include "server/workspace.hpp"

namespace server {

/// What a connection was until it became something other than HTTP/1.1.
struct handover {
    /// After an upgrade its exchange and its request are in there, and stay as they are; give it back by
    /// wire::workspaces once it is no longer needed.
    std::unique_ptr<workspace> work;
    std::string_view bytes;  ///< in there: read, but not yet looked at
    /// After an upgrade, the request that asked for it: in `work`, or on a stream of HTTP/2, and then valid as long as
    /// the session.
    const request* asked = nullptr;
    std::uint32_t served = 0;  ///< requests
    bool counted = false;      ///< the account knows of a request whose end the session has to report
    bool trusts_peer = false;  ///< it may name the clients of its requests
    bool newcomer = false;     ///< it came after the stop had begun
    bool worked_during_stop = false;
    admission::patience patience{};           ///< `without`: the limit that it is above
    lifecycle::clock::time_point deadline{};  ///< of the first request, from accept
};

/// What a connection is once it no longer speaks HTTP/1.1: from its start (HTTP/2), or after an upgrade
/// (WebSocket). One that stands after an upgrade may live on a stream of another, which then does for it what is said
/// here of the connection. The connection keeps the socket, its place in the lists of its loop and its share of what
/// one client may have; it tells its session what happens, and lets it `proceed` after each event. What a session wants
/// done it does by its wire. What is not the connection's event, the return of a handler, it makes one by
/// `wire::proceed`.
///
/// Only on the thread of its loop. What throws is the end of the connection; handlers that have been asked are waited
/// for.
class session {
public:
    enum class next : std::uint8_t {
        wait,   ///< for the next event; it has said by wire::watch what of the socket is one
        close,  ///< it has ended, and no handler works for it
        reset   ///< the same, and what the client has of it must not look whole
    };
    /// The request that it deals with now; none outside of one.
    struct focus {
        const exchange* current = nullptr;
        const server::request* asked = nullptr;
        connection_state in = connection_state::handling;
        lifecycle::clock::time_point since{}, deadline{};
    };
    /// Called with one request after the other in focus.
    class visitor {
    public:
        virtual void visit() = 0;

    protected:
        ~visitor() = default;
    };

    virtual ~session() = default;

    // Events.

    virtual void begin(handover from, const moment& at) = 0;
    virtual poll_set::rest ready(const moment& at) = 0;
    virtual void tick(const drain_view& drain, const moment& at) = 0;
    /// It has to make room: it looks once more for bytes, and ends if there are none and nothing is under way. `why`
    /// is for its last line in the access log.
    virtual void make_room(char why, const moment& at) = 0;
    /// The socket says that the client has gone; asked for only while it `awaits_word`.
    virtual void client_gone(const moment&) {}
    /// Ends, whatever it does; handlers are waited for.
    virtual void cut(const moment& at) = 0;
    virtual void stop_begins() noexcept = 0;
    /// Does what is to be done, until it has to wait.
    virtual next proceed(const moment& at) = 0;
    /// It ends now: the last that it has to report to the account.
    virtual void end() noexcept = 0;

    // What it is.

    virtual std::string_view protocol() const noexcept = 0;  ///< "HTTP/2"; has static lifetime
    virtual const options& limits() const noexcept = 0;
    virtual void each(visitor& by) = 0;

    /// It lives on a stream of `outer`: people who look at the connection see what is in focus there.
    void live_within(session& outer) noexcept { outer_ = &outer; }

    const focus& in_focus() const noexcept {
        static const focus nobody;
        return focus_ != nullptr ? *focus_ : nobody;
    }
    connection_state now_in() const noexcept { return in_focus().current != nullptr ? focus_->in : seen_.state; }
    lifecycle::clock::time_point since() const noexcept {
        return in_focus().current != nullptr ? focus_->since : seen_.since;
    }
    bool waits_for_request() const noexcept { return seen_.state <= connection_state::idle; }
    /// The tick may come a quarter of a second late, unless there is a stop.
    bool lasts() const noexcept { return seen_.lasts; }
    bool awaits_word() const noexcept { return seen_.awaits_word; }
    bool forced() const noexcept { return seen_.forced; }
    bool worked_during_stop() const noexcept { return seen_.worked_during_stop; }
    std::uint32_t served() const noexcept { return seen_.served; }
    /// Handlers and sources that have been asked and have not returned.
    virtual std::uint32_t asked() const noexcept { return seen_.asked; }
    ending_letters ending() const noexcept { return seen_.ending; }

protected:
    /// As its loop sees it; the session keeps it true.
    struct seen {
        connection_state state = connection_state::fresh;
        lifecycle::clock::time_point since{};  ///< when it entered that
        bool awaits_word = false;              ///< it does not read, and what its client does is to be looked at
        bool lasts = false;                    ///< only its socket and a stop bring anything about, and pings
        bool forced = false;                   ///< by the end of a stop
        bool worked_during_stop = false;
        std::uint32_t served = 0;  ///< requests
        std::uint32_t asked = 0;
        ending_letters ending;
    };
    /// For what others ask of a request: they look at that one while this lives.
    class focused {
    public:
        focused(session& of, focus on) noexcept
            : of_(of.outer_ != nullptr ? *of.outer_ : of), on_(on), before_(std::exchange(of_.focus_, &on_)) {}
        ~focused() { of_.focus_ = before_; }
        focused(const focused&) = delete;
        focused& operator=(const focused&) = delete;

    private:
        session& of_;
        const focus on_;
        const focus* const before_;
    };

    seen seen_;

private:
    session* outer_ = nullptr;
    const focus* focus_ = nullptr;  ///< nullptr: none; it lives where it was begun, so that a quiet session has none
};

/// Makes one for each connection. Lives as long as the server that has it; called by any loop.
class session_source {
public:
    virtual ~session_source() = default;
    virtual std::unique_ptr<session> make(wire on) = 0;
};

}  // namespace server
