#pragma once

#include <string>
#include <string_view>

#include "server/websocket/open_socket.hpp"

namespace server::websocket {

/// A connection, or a stream of HTTP/2, that has become a WebSocket: carries what its wire, its handlers and the tick
/// say to its machine, and does what that wants. While nothing is under way it owns no machine, and the tick does no
/// more than look at its clock.
class live final : public open_socket {
public:
    using open_socket::open_socket;

    void begin(handover from, const moment& at) override;
    poll_set::rest ready(const moment& at) override;
    void tick(const drain_view& drain, const moment& at) override;
    void make_room(char, const moment&) override {}  // it is never idle
    void client_gone(const moment& at) override;
    void cut(const moment& at) override;
    void stop_begins() noexcept override { seen_.worked_during_stop = true; }
    next proceed(const moment& at) override;
    void end() noexcept override;
    std::string_view protocol() const noexcept override { return "WebSocket"; }
    const options& limits() const noexcept override { return *wire_.serving().limits; }
    void each(visitor& by) override;

private:
    void call(machine::step what);
    void call_plain(machine::step what);
    void returned_from_job() override;
    bool read(const moment& at);
    void write(const moment& at);
    void look(std::string& into);
    void rest() noexcept;
    void watch();
    void note_room() noexcept;
    void tell_handler() noexcept;
    focus about_it() const noexcept;

    bool counted_ = false, told_ = false, straggled_ = false;
};

}  // namespace server::websocket
