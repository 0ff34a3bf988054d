#pragma once

#include <atomic>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include "server/handlers.hpp"
#include "server/session.hpp"
#include "server/websocket/hub.hpp"

namespace server::websocket {

class live;

/// A socket as other threads know it: where it is, and whether it still is.
struct remote::place {
    station& on;
    live* it;                                ///< only on the loop; nullptr: it has ended
    std::atomic<std::size_t> on_its_way{0};  ///< bytes, to the loop
    std::atomic<std::size_t> backlog{0};     ///< as it was seen last
    std::atomic<bool> ended{false};
};

/// How the coroutine of a handler finds the socket that it works for.
struct about {
    live* it;
};

/// A connection, or a stream of HTTP/2, that has become a WebSocket: carries what its wire, its handlers and the tick
/// say to its machine, and does what that wants. While nothing is under way it owns no machine, and the tick does no
/// more than look at its clock.
class live final : public session, public socket, public member {
public:
    live(wire on, station& of) noexcept;
    ~live() override;

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
    void each(visitor& who) override;

    sent send(opcode kind, std::string_view payload) override;
    void close(std::uint16_t code, std::string_view reason) override;
    std::size_t backlog() const noexcept override { return at_work_ ? at_work_->backlog() : 0; }
    lifecycle::awaitable<bool> room(lifecycle::context of) override;
    void broadcast(opcode kind, std::string_view data, std::function<bool(const socket&)> wanted) override;
    remote from_anywhere() override;
    std::string_view subprotocol() const noexcept override;
    const socket_address& client() const noexcept override { return wire_.caller(); }

    /// While a handler works.
    const machine& its_machine() const noexcept { return *at_work_; }
    /// Of a broadcast, or from another thread. It may no longer exist after this.
    bool send_frame(const shared_frame& frame);

private:
    struct job;
    /// Its machine, and what there is only beside one.
    struct activity final : machine {
        template <class... Arguments>
        explicit activity(station& of, const Arguments&... how) noexcept : machine(how...), on(of) {}
        /// `how`: what its machine is to begin with.
        template <class... Arguments>
        static std::unique_ptr<activity> make(station& on, bool compresses, const Arguments&... how);
        ~activity();
        static void operator delete(activity* ended, std::destroying_delete_t) noexcept;  ///< `station::spare`
        station& on;
        const request* asked = nullptr;                 ///< of the handshake, until its handler has seen it
        std::unique_ptr<workspace> in;                  ///< ... in which that is; none on a stream of HTTP/2
        std::unique_ptr<job> calls;                     ///< a handler that is a coroutine, while it runs
        std::unique_ptr<lifecycle::cancel_scope> room;  ///< a coroutine that waits for room waits on it
    };

    void call(machine::step what);
    void call_plain(machine::step what);
    void returned_from_job();
    bool read(const moment& at);
    void write(const moment& at);
    void look(std::string& into);
    machine& awake();
    void rest() noexcept;
    void watch();
    void note_room() noexcept;
    void tell_handler() noexcept;
    focus about_it() const noexcept;

    // An idle socket is this, and its connection: a byte here is one of each of 50,000.
    wire wire_;
    station& on_;
    std::unique_ptr<activity> at_work_;  ///< nullptr: it rests
    machine::resting resting_;           ///< ... as this
    std::shared_ptr<remote::place> place_;
    std::uint8_t window_ = 0;            ///< of messages that are compressed; 0: they are not
    std::uint8_t protocol_ = UINT8_MAX;  ///< of those that the route speaks
    bool counted_ = false, told_ = false, straggled_ = false;
};

}  // namespace server::websocket
