#pragma once

#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <utility>

#include "server/connection_opening.hpp"
#include "server/handlers.hpp"
#include "server/net/poll_set.hpp"

namespace server {

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

/// One client, from accept to close: carries what its socket, its handlers and the tick say to its machine, and does
/// what that wants. It decides nothing itself, and it has no coroutine: idle, it is this struct and nothing else. Once
/// it does not speak HTTP/1.1 any more it carries them to a session, and does what that wants by its wire.
///
/// It belongs to its loop from `begin` to its end, so nothing here is locked or atomic: only on the loop's thread.
/// Every event may be its last; code that has told it of one must not touch it afterwards.
class connection final : public poll_set::watched, public asker, public activity_hook, public connection_opening {
public:
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
    void settle();
    struct looked {
        transport::outcome how;
        poll_set::rest left;
    };
    looked read(const moment& at, bool held = false);
    bool read_held(const moment& at);
    bool look_finds_life(const moment& at);
    void say_farewell(const moment& at);
    void write(const moment& at);
    bool ask();
    void take_back(moment& at);
    void fail(const char* why) noexcept;
    void end(bool reset) noexcept;

    bool driven_ = false;    ///< one of its events is being seen to
    bool returned_ = false;  ///< ... and meanwhile its handler has returned
    bool asking_ = false;    ///< a handler or a source has been asked and has not returned
    listing listed_as_ = listing::waits;
    std::uint32_t listed_ = 0;  ///< requests that had been served when it took its place among those that wait
};

}  // namespace server
