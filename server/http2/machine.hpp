#pragma once

#include "server/http2/reading.hpp"

namespace server::http2 {

/// One HTTP/2 connection without its socket, clock, thread and log: bytes in, bytes out, and what it has others do
/// (`duties`). nghttp2 knows the frames and HPACK; the requests, their deadlines, the limits and the stop are here.
///
///     head ─▶ body ─▶ handling ─▶ writing / streaming ─▶ done        a stream; each is decided on like a connection
///
/// A body is gathered before its handler is asked, or, on routes that take it as it arrives, after that.
///
/// Only on one thread. What throws (std::bad_alloc) is the end of the connection.
class machine final : public reading {
public:
    /// All outlive it.
    machine(host& on, duties& by, depot& from) : reading(on, by, from) {}
    ~machine();

    // What comes by itself; bytes and what becomes of them are with the layers below.

    void begin(const handover& from, const moment& at);
    void tick(const drain_view& drain, const moment& at);
    /// Ends, whatever it does; handlers are waited for.
    void cut(const moment& at);
    void stop_begins() noexcept;
    /// What is under way ends with it: the last of the changes.
    void end() noexcept;

private:
    void obey(stream& stream, decision decided);
    void time_out(stream& stream, bool by_drain);
};

}  // namespace server::http2
