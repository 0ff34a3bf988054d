#pragma once

#include <boost/asio/io_context.hpp>
#include <deque>
#include <map>
#include <memory>
#include <source_location>
#include <vector>

#include "lifecycle/context.hpp"
#include "lifecycle/sleepers.hpp"
#include "lifecycle/task_group.hpp"
#include "server/client/upstream.hpp"
#include "server/client/upstream_stream.hpp"

namespace server {

/// The connections of one loop to upstreams: how many at a time, and those that are kept for the next request.
///
/// One for each io_context, made when it is first asked for, gone with it. Only on the loop's thread, so nothing is
/// locked. While connections are kept it looks every 50 ms which of them has been closed by its peer, is too old, or
/// stands in the way of a stop; without any, the loop can run out of work.
class connection_pool final : public boost::asio::execution_context::service, private lifecycle::sleeper {
public:
    using key_type = connection_pool;
    inline static boost::asio::execution_context::id id;  // by which Asio finds a service

    explicit connection_pool(boost::asio::io_context& loop);
    static connection_pool& of(lifecycle::executor on);

    class place;

    /// Waits, in the order of the calls, until one more connection may be open. nullptr: the context ended first.
    lifecycle::awaitable<std::unique_ptr<place>> wait_for_place(
        lifecycle::context context, std::shared_ptr<const upstream> to,
        std::source_location where = std::source_location::current());

    /// Connections that wait for the next request.
    std::size_t kept() const noexcept;

private:
    struct waiter;
    struct kept_stream {
        std::unique_ptr<upstream_stream> stream;
        lifecycle::clock::time_point since;
    };
    struct peer {
        std::shared_ptr<const upstream> to;
        std::size_t taken = 0;          ///< places
        std::vector<kept_stream> kept;  ///< the newest last; with `taken` at most the limit
        std::deque<waiter*> waiting;
    };

    void shutdown() override;
    static void give_back(peer& from) noexcept;
    void look_again() noexcept;
    void go_on(lifecycle::clock::time_point now) override;
    void drop() override {}

    const lifecycle::executor on_;
    lifecycle::sleepers& sleepers_;
    std::map<const upstream*, peer> peers_;  ///< as many as are in allow lists
};

/// The right to one connection, until it is destroyed.
class connection_pool::place {
public:
    place(connection_pool& pool, peer& at) : pool_(pool), at_(at) {}
    ~place() { give_back(at_); }
    place(const place&) = delete;
    place& operator=(const place&) = delete;

    /// A kept connection on which nothing has come meanwhile, neither a byte nor its end; nullptr when there is none.
    std::unique_ptr<upstream_stream> take_kept();
    /// For the next request; in a stop, or without memory for it, it is closed.
    void keep(std::unique_ptr<upstream_stream> stream) noexcept;

private:
    connection_pool& pool_;
    peer& at_;
};

}  // namespace server
