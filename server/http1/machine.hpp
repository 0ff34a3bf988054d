#pragma once

#include <cstddef>
#include <optional>

#include "server/http1/reading.hpp"

namespace server {

/// One HTTP/1.1 connection without its socket, clock, thread and log: events in, steps out. Whoever drives it asks for
/// the `next` step, does it, says what came of it, and so on until the step is to `wait`.
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
    /// `on` must outlive it, and is not looked at before `begin`.
    explicit http1_machine(host& on) noexcept : http1_reading(on) {}

    /// A client is there.
    void begin(const moment& at) noexcept;

    step next(const moment& at);

    // What comes by itself; what comes of a step is with the layer that asks for it.

    void finished() noexcept;
    /// What the tick has decided. `unacknowledged` is looked at where `measures` says so.
    void obey(decision decided, std::size_t unacknowledged, const moment& at);
    static bool measures(decision decided) noexcept {
        return decided.what == decision::action::cut || decided.what == decision::action::hang_up_if_acknowledged;
    }
    /// It is to make room, unless bytes have come. `why` is for its last line in the access log.
    void make_room(char why) noexcept;
    /// The client has gone while a handler works for it.
    void client_gone();
    /// Ends, whatever it does; a handler is waited for.
    void cut();
    void fail() noexcept;
    void stop_begins() noexcept { flags_.worked_during_stop = !waits_for_request(); }
    /// What is under way ends with it: the last of the changes.
    void end() noexcept;

private:
    std::optional<step> advance(const moment& at);
    step part(const moment& at);
};

}  // namespace server
