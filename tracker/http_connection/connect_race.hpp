#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

namespace tracker {

/// A connection to the first of several addresses that takes one (RFC 8305, "Happy Eyeballs"): they are tried in their
/// order, the next when one has failed or has said nothing for `spacing`; none is given up for another before one of
/// them has a connection. On the thread of its `io_context`, which has nothing else to do when it is destroyed: what
/// still waits then is run to its end.
class connect_race {
public:
    using tcp = boost::asio::ip::tcp;
    using error_code = boost::system::error_code;

    connect_race(boost::asio::io_context& io, std::vector<tcp::endpoint> to, std::chrono::milliseconds spacing);
    ~connect_race();
    connect_race(const connect_race&) = delete;
    connect_race& operator=(const connect_race&) = delete;

    /// `done` is called once: with the last error when none takes a connection.
    void start(std::function<void(error_code)> done);
    /// `done` is called with an error if it has not been.
    void close() noexcept;
    /// The connection; once, after `done` without an error.
    tcp::socket release();

private:
    void next();
    void wait();
    void ended(std::size_t nth, error_code error);

    boost::asio::io_context& io_;
    const std::vector<tcp::endpoint> to_;
    const std::chrono::milliseconds spacing_;
    boost::asio::steady_timer timer_;
    std::deque<tcp::socket> sockets_;  ///< of those that have begun
    std::size_t under_way_ = 0;
    bool over_ = false;
    std::optional<std::size_t> winner_;
    error_code last_;
    std::function<void(error_code)> done_;
};

/// One family after the other, the first address first (RFC 8305, section 4): that a host has no way to one of them
/// costs one address's time, not that of all of them.
std::vector<boost::asio::ip::tcp::endpoint> interleaved(std::vector<boost::asio::ip::tcp::endpoint> addresses);

}  // namespace tracker
