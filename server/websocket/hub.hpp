#pragma once

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "server/exchange.hpp"
#include "server/metrics.hpp"
#include "server/websocket/route.hpp"

namespace server::websocket {

class hub;

/// A socket among those of its loop.
struct member : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {};

/// What the WebSockets of a route share on one loop. Only on the loop's thread, but what is a counter or atomic.
struct station {
    station(const hub& of, host& loop, boost::asio::io_context& context);

    /// By the settings that are in force now; valid as long as the route.
    const machine_limits& limits();

    using all = boost::intrusive::list<member, boost::intrusive::constant_time_size<false>>;

    const hub& route;
    host& loop;
    boost::asio::io_context& context;
    compression zlib;
    std::string squeezed;  ///< a message, while it is sent
    struct end_of_activity {
        void operator()(machine* kept) const noexcept;
    };
    /// The machine of the last socket that came to rest, an open_socket::activity: the next one takes it, so that a
    /// message costs no allocation, and no hole between the sockets that rest.
    std::unique_ptr<machine, end_of_activity> spare;
    all open;
    std::vector<std::unique_ptr<machine_limits>> limits_so_far;  ///< one a reload that changes them
    /// What others are shown of a socket: its route, in an exchange and a request that exist only for this.
    const lifecycle::context for_ever;  ///< of plain functions: they do not wait
    exchange shown;
    request shown_request;
    counter open_now, opened, messages_in, messages_out;
    std::array<counter, 6> closed;  ///< by how they ended: machine::ending, by its number
};

/// All that belongs to one route, and lives as long: its handlers, and what its sockets share on each loop.
class hub {
public:
    hub(std::string of, callbacks calls, route_options options);
    ~hub();
    hub(const hub&) = delete;
    hub& operator=(const hub&) = delete;

    /// That of the loop; made before the loop serves: a socket that has its 101 gets every broadcast from then on. Safe
    /// from any thread.
    station& at(host& loop, boost::asio::io_context& context);
    /// `visit` runs on each loop. Throws std::bad_alloc.
    void on_each_loop(const std::function<void(station&)>& visit) const;
    /// See sockets::broadcast.
    void broadcast(opcode kind, std::string_view data, std::function<bool(const socket&)> wanted) const;
    /// Of all loops together.
    struct totals {
        static constexpr std::size_t endings = 5;
        std::string route;
        std::uint64_t open = 0, opened = 0, received = 0, sent = 0;
        std::array<std::uint64_t, endings> closed{};
    };
    totals count() const;
    bool waits() const noexcept;  ///< a handler of it is a coroutine

    const std::string name;
    const callbacks does;
    const route_options how;
    /// Coroutines are run as handlers are, by the loop's own: one for each kind.
    server::route shown, on_open, on_message, on_close;

private:
    mutable std::mutex guard_;
    std::vector<std::unique_ptr<station>> stations_;  ///< one a loop
};

}  // namespace server::websocket
