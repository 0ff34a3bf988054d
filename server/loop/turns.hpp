#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <vector>

namespace server {

class connection;

/// Connections that let others go first, though they could go on: each is told (connection::turn_came) when its loop
/// has turned twice. The first turn is for what the loop has to do, the second for what the kernel has brought
/// meanwhile.
///
/// Only on the loop's thread. The io_context outlives it, and a connection is forgotten before it goes. Where there is
/// no memory to wait for a turn, that turn comes at once.
class loop_turns {
public:
    explicit loop_turns(boost::asio::io_context& io) noexcept : io_(io) {}
    loop_turns(const loop_turns&) = delete;
    loop_turns& operator=(const loop_turns&) = delete;

    /// Throws std::bad_alloc: it does not wait.
    void let_others_go_first(connection& waits);
    void forget(connection& gone) noexcept;

private:
    void post(std::size_t left);
    void give(std::size_t left);

    boost::asio::io_context& io_;
    std::array<std::vector<connection*>, 2> waiting_;  ///< for one turn more, and for two
};

}  // namespace server
