#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "server/http2/machine.hpp"
#include "server/session.hpp"

namespace server::http2 {

/// The driver of one HTTP/2 connection: carries bytes between its wire and its machine, and does for requests what the
/// machine asks. How it ends: everything written, the close_notify of TLS, FIN, and what still comes is read until the
/// client has closed.
class session final : public server::session, private duties {
public:
    session(wire on, std::shared_ptr<depot> from);

    void begin(handover from, const moment& at) override;
    poll_set::rest ready(const moment& at) override;
    void tick(const drain_view& drain, const moment& at) override;
    void make_room(char why, const moment& at) override;
    void cut(const moment& at) override;
    void stop_begins() noexcept override { machine_.stop_begins(); }
    next proceed(const moment& at) override;
    void end() noexcept override;

    /// Of this moment: an event that throws may have asked one before.
    std::uint32_t asked() const noexcept override { return machine_.asked_now(); }
    std::string_view protocol() const noexcept override { return "HTTP/2"; }
    const options& limits() const noexcept override { return machine_.limits(); }
    void each(visitor& by) override;

private:
    enum class phase : std::uint8_t { serving, parting, lingering };

    void introduce(stream& of) override;
    bool ask(server::asked what, stream& of) override;
    void left(stream& of, const moment& at) override;
    void note(stream& of, const answer_row& row) override;
    void answered(stream& of, http::status status) override;
    void log_failure(stream& of, const std::exception_ptr& thrown) override;
    void straggles(stream& of) override;
    void returned_late(stream& of) override;
    std::unique_ptr<server::session> becomes(stream& of, tunnel& through) override;
    void proceed() noexcept override { wire_.proceed(); }
    moment now() override { return wire_.now(); }

    static focus on(const stream& of) noexcept {
        return {.current = &of.current, .asked = &of.asked, .in = of.state, .since = of.since, .deadline = of.deadline};
    }
    bool read(const moment& at);
    bool write(const moment& at);
    next part(const moment& at);
    void see(const moment& at);
    void account() noexcept;

    wire wire_;
    std::shared_ptr<depot> from_;
    machine machine_;
    std::unique_ptr<workspace> out_;  ///< while there is something to be written
    phase phase_ = phase::serving;
    lifecycle::clock::time_point deadline_{};  ///< of its state
    lifecycle::clock::time_point wrote_at_{};
    bool blocked_ = false, peer_closed_ = false, rests_ = false;
    bool took_all_ = false;  ///< the last read, of what was in the socket
    bool began_ = false;     ///< a request, since its loop has seen its state
};

/// Makes the sessions of a server's connections. What those of one loop share is made with the first of them.
class source final : public session_source {
public:
    std::unique_ptr<server::session> make(wire on) override;

private:
    std::mutex mutex_;
    std::map<const host*, std::shared_ptr<depot>> depots_;  ///< by loop
};

}  // namespace server::http2
