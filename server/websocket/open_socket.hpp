#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/handlers.hpp"
#include "server/session.hpp"
#include "server/websocket/hub.hpp"

namespace server::websocket {

class open_socket;

/// A socket as other threads know it: where it is, and whether it still is.
struct remote::place {
    station& on;
    open_socket* it;                         ///< only on the loop; nullptr: it has ended
    std::atomic<std::size_t> on_its_way{0};  ///< bytes, to the loop
    std::atomic<std::size_t> backlog{0};     ///< as it was seen last
    std::atomic<bool> ended{false};
};

/// How the coroutine of a handler finds the socket that it works for.
struct about {
    open_socket* it;
};

/// A WebSocket as its handlers, broadcasts and other threads have it: what they may do with it. The lower layer of
/// `live`, which carries out what comes of that. While nothing is under way it owns no machine.
class open_socket : public session, public socket, public member {
public:
    open_socket(wire on, station& of) noexcept;
    ~open_socket() override;

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

protected:
    /// One call of a handler that may wait: an exchange, so that it runs, is shown and ends as any handler does.
    struct job final : asker {
        explicit job(open_socket& of) : whose(of) {}
        void returned() noexcept override;
        open_socket& whose;
        exchange of;
        bool done = false;
    };
    /// Its machine, and what there is only beside one.
    struct activity final : machine {
        template <class... Arguments>
        explicit activity(const Arguments&... how) noexcept : machine(how...) {}
        /// `how`: what its machine is to begin with.
        template <class... Arguments>
        static std::unique_ptr<activity> make(station& on, bool compresses, const Arguments&... how);
        const request* asked = nullptr;                 ///< of the handshake, until its handler has seen it
        std::unique_ptr<workspace> in;                  ///< ... in which that is; none on a stream of HTTP/2
        std::unique_ptr<job> calls;                     ///< a handler that is a coroutine, while it runs
        std::unique_ptr<lifecycle::cancel_scope> room;  ///< a coroutine that waits for room waits on it
    };

    virtual void returned_from_job() = 0;
    /// Its machine, which rests no more.
    machine& awake();
    friend struct station;  // which keeps an activity

    // An idle socket is this, and its connection: a byte here is one of each of 50,000.
    wire wire_;
    station& on_;
    std::unique_ptr<activity> at_work_;  ///< nullptr: it rests
    machine::resting resting_;           ///< ... as this
    std::shared_ptr<remote::place> place_;
    std::uint8_t window_ = 0;            ///< of messages that are compressed; 0: they are not
    std::uint8_t protocol_ = UINT8_MAX;  ///< of those that the route speaks
};

template <class... Arguments>
std::unique_ptr<open_socket::activity> open_socket::activity::make(station& on, bool compresses,
                                                                   const Arguments&... how) {
    const auto& limits = on.limits();
    auto* const zlib = compresses ? &on.zlib : nullptr;
    auto* const kept = static_cast<activity*>(on.spare.release());
    if (kept == nullptr) return std::make_unique<activity>(limits, zlib, how...);
    std::destroy_at(kept);  // it was another's
    return std::unique_ptr<activity>(std::construct_at(kept, limits, zlib, how...));
}

}  // namespace server::websocket
