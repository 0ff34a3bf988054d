#pragma once

#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

#include "lifecycle/lines.hpp"
#include "server/client_table.hpp"
#include "server/handlers.hpp"
#include "server/http1/machine.hpp"
#include "server/net/poll_set.hpp"
#include "server/net/proxy_header.hpp"
#include "server/net/socket_address.hpp"
#include "server/net/transport.hpp"
#include "server/session.hpp"

namespace server {

class loop_resources;

struct by_activity;
using activity_hook = boost::intrusive::list_base_hook<boost::intrusive::tag<by_activity>,
                                                       boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// How often the tick has to look at a connection; see connection_lists. In a drain: each time.
enum class listing : std::uint8_t {
    waits,  ///< for a request: now and then, and when its time is over
    works,  ///< each time
    lasts,  ///< nothing of it is due but pings: now and then
    silent  ///< nothing at all: never
};
constexpr std::size_t listings = 4;

/// A client that has been accepted.
struct arrival {
    socket_address peer;
    rule without = rule::none;  ///< the limit that it is above; see admission::patience
    client_table::share share;  ///< of the connections that one client may have
};

/// One client, from accept to close: carries what its socket, its handlers and the tick say to its machine, and does
/// what that wants. It decides nothing itself, and it has no coroutine: idle, it is this struct and nothing else. Once
/// it does not speak HTTP/1.1 any more it carries them to a session, and does what that wants by its wire.
///
/// It belongs to its loop from `begin` to its end, so nothing here is locked or atomic: only on the loop's thread.
/// Every event may be its last; code that has told it of one must not touch it afterwards.
class connection final : public poll_set::watched, public asker, public activity_hook {
public:
    using state = connection_state;

    /// On any thread.
    connection(loop_resources& on, transport socket, arrival client) noexcept;
    ~connection() override;

    /// Its loop has taken it, and its bytes go through `between`, if there is one. Throws std::system_error when the
    /// kernel cannot watch its socket.
    void begin(const moment& at, std::unique_ptr<layer> between);

    // Events.

    poll_set::rest ready() noexcept override;
    void returned() noexcept override;
    void tick(const drain_view& drain, const moment& at) noexcept;
    /// It has let others go first.
    void turn_came() noexcept;
    /// Looks once more for bytes, and closes when there are none. `why` goes to the access log.
    void look_and_close(char why) noexcept;
    /// Its client has gone while a handler works for it.
    void client_gone() noexcept;
    /// Closes, whatever it does; a handler is waited for.
    void cut() noexcept;
    void stop_begins() noexcept { session_ ? session_->stop_begins() : machine_.stop_begins(); }

    // What it is.

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

private:
    friend class wire;

    template <class Event>
    void on(const Event& event, moment at) noexcept;
    bool drive(moment at);
    /// After each event its session goes on with what comes of it. One that comes inside of another, as the return of a
    /// handler does that has not waited, is seen to by the one around it.
    template <class Event>
    void tell(const Event& event) noexcept {
        const bool inside = std::exchange(driven_, true);
        try {
            event();
            if (!inside) go_on();
        } catch (const std::exception& e) {
            fail_session(e.what());
        }
    }
    void go_on();
    poll_set::rest ready_in_session() noexcept;
    void fail_session(const char* why) noexcept;
    bool hand_over(const moment& at);
    bool proceed(const moment& at);
    const exchange* current() const noexcept;
    const server::request* asked_of() const noexcept;
    void settle();
    struct looked {
        transport::outcome how;
        poll_set::rest left;
    };
    looked read(const moment& at, bool held = false);
    bool read_held(const moment& at);
    transport::outcome shake(const moment& at);
    bool may_read() noexcept;
    bool look_finds_life(const moment& at);
    bool stirs() const noexcept { return socket_.between() != nullptr && socket_.between()->stirs(); }
    void say_farewell(const moment& at);
    void write(const moment& at);
    bool ask();
    void take_back(moment& at);
    void fail(const char* why) noexcept;
    void trust();
    void name_client() noexcept;
    const socket_address& caller() const noexcept { return proxied_ ? proxied_->caller : peer_; }
    bool awaits_header() const noexcept { return proxied_ && proxied_->how == proxy_header::progress::need_more; }
    transport::outcome read_proxy_header(const moment& at);
    void skip_another_header();
    void refuse_header(rule by, const moment& at);
    void end(bool reset) noexcept;

    /// Of a connection that begins with a header of the PROXY protocol.
    struct proxied {
        proxy_header header;
        proxy_header::progress how = proxy_header::progress::need_more;
        socket_address caller;  ///< the client that it names; else the peer
    };

    loop_resources& loop_;
    transport socket_;
    bool driven_ = false;    ///< one of its events is being seen to
    bool returned_ = false;  ///< ... and meanwhile its handler has returned
    bool asking_ = false;    ///< a handler or a source has been asked and has not returned
    listing listed_as_ = listing::waits;
    std::uint32_t listed_ = 0;    ///< requests that had been served when it took its place among those that wait
    std::uint32_t unlogged_ = 0;  ///< requests that the access log has none of
    lifecycle::clock::time_point born_{};
    socket_address peer_;
    std::unique_ptr<proxied> proxied_;
    client_table::share share_;
    http1_machine machine_;
    std::unique_ptr<session> session_;  ///< once it is another protocol that it speaks
};

}  // namespace server
