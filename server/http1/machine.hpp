#pragma once

#include <cstddef>
#include <optional>

#include "server/http1/reading.hpp"
#include "server/session.hpp"

namespace server {

/// One HTTP/1.1 connection without its socket, clock, thread and log: events in, steps out. Its driver asks for the
/// `next` step, does it, says what came of it, and so on until the step is to `wait`.
///
///     fresh ─bytes─▶ head ─▶ body ─▶ handling ─▶ writing / streaming ─▶ idle ─bytes─▶ head …
///       └────────────────────────────────┴───────────────┴──────────────▶ lingering ─▶ closed
///
/// It is active from the first byte of a request, not from the parsed head: what has begun is answered. What it needs
/// only while it has something to do is a workspace, lent when bytes come (`lend`), and given back when it says `rest`.
///
/// Only on one thread. A step that cannot be done (std::bad_alloc) is the end: `fail`.
class http1_machine final : public http1_reading {
public:
    /// `on` must outlive it, and is not looked at before `begin`. `without`: the limit that its client was accepted
    /// above, for one request that may be a probe.
    explicit http1_machine(host& on, rule without = rule::none) noexcept : http1_reading(on) {
        patience_.without = without;
    }

    /// A client is there.
    void begin(const moment& at) noexcept;
    /// Its client has more connections than it may: see the constructor.
    void stand_above(rule limit) noexcept { patience_.without = limit; }
    /// Whether its peer is believed about the clients of its requests.
    void trust_peer(bool yes) noexcept { flags_.trusts_peer = yes; }

    step next(const moment& at);

    // What comes of a layer between it and the socket.

    /// The client has shaken hands, and its first request comes next.
    void opened(const moment& at) noexcept;
    /// They have agreed on another protocol.
    void change_over() noexcept;
    /// Something has come of which no byte can be read yet.
    void stirred(const moment& at) noexcept;
    /// The client has been told why there will be no handshake; it may still be sending.
    void turned_away() noexcept;
    /// It speaks HTTP in clear where that is not spoken, and is answered in clear. Wants a workspace.
    void refuse_clear(const moment& at);
    void said_farewell() noexcept;
    /// The farewell comes after what is written now.
    bool writes_last() const noexcept { return phase_ == phase::flush && then_ == phase::farewell; }

    // What comes by itself; what comes of a step is with the layer that asks for it.

    void finished() noexcept;
    /// What the tick has decided. `unacknowledged` is looked at where `measures` says so.
    void obey(decision decided, std::size_t unacknowledged, const moment& at);
    static bool measures(decision decided) noexcept {
        return decided.what == decision::action::cut || decided.what == decision::action::hang_up_if_acknowledged;
    }
    /// It has to make room, unless bytes have come. `why` is for its last line in the access log.
    void make_room(char why) noexcept;
    /// What came is not to be answered: it ends without sending anything.
    void turn_away(ending_letters why) noexcept;
    /// The client has gone while a handler works for it.
    void client_gone();
    /// Ends, whatever it does; a handler is waited for.
    void cut();
    void fail() noexcept;
    /// What it leaves to a session; it ends with that.
    handover hand_over() noexcept;
    void stop_begins() noexcept {
        flags_.worked_during_stop = !waits_for_request();
        flags_.newcomer = false;
    }
    /// What is under way ends with it: the last of the changes.
    void end() noexcept;

private:
    std::optional<step> advance(const moment& at);
    void time_out(bool by_drain, const moment& at);
    void end_told();
    step part(const moment& at);
};

}  // namespace server
