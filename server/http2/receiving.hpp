#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "server/http2/state.hpp"

namespace server::http2 {

/// Bodies that their handlers take as they arrive, and the bytes that tunnels read: what has come is held, and the
/// windows of HTTP/2 are opened for what has been taken. A client has `body_timeout` for each stretch of the time in
/// which its handler waits; the time in which that works is not the client's.
class receiving : public state {
public:
    using state::state;

    /// There is a handler or a tunnel to be woken.
    bool wakes() const noexcept { return !waking_.empty(); }

protected:
    /// This much may be held of bodies that are not read, on any number of streams; together with what else a hundred
    /// of them need it is less than 1 MiB.
    static constexpr std::int32_t window_of_connection = 768 * 1024;

    void begin_body(stream& stream);
    void say_continue(const stream& stream);
    /// Bytes for a handler or a tunnel. False: they are of no interest any more.
    bool hold(stream& stream, std::string_view bytes);
    /// So many bytes of bodies are not too many for the loop.
    bool has_room(std::size_t more) const noexcept;
    void keep(stream& stream, std::string_view bytes);
    void took(stream& stream, std::size_t count);
    void leave_body(stream& stream);
    void drop_body(stream& stream) noexcept;
    /// The rest does not come, by that rule; `rule::none`: its client has gone.
    void fail_body(stream& stream, rule by) noexcept;
    void body_is_late(stream& stream);
    static bool never_came(const stream& stream) noexcept {
        return stream.current.incoming && stream.current.incoming->never_came();
    }
    void wake_later(stream& stream) noexcept;
    /// A handler that has waited goes on with what has come.
    void hand_on(stream& stream);

    waking_streams waking_;

private:
    void wants_body(stream& stream);
    void open_window(stream& stream, std::size_t bytes);

    std::size_t credit_ = 0;  ///< bytes that the window of the connection is to be opened by
};

}  // namespace server::http2
