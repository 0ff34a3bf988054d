#pragma once

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "lifecycle/task_group.hpp"
#include "server/net/socket_address.hpp"
#include "server/net/unix_socket.hpp"
#include "server/options.hpp"

namespace server {

class loop;

/// A listening socket, TCP or UNIX, from bind to close. Owns the descriptor; binds in its constructor,
/// so that a busy port is known before anything starts, or takes the one that was inherited. Of a UNIX socket that it
/// has bound it owns the path too.
class listening_socket {
public:
    /// Throws std::runtime_error with one line that names the address and what to do.
    explicit listening_socket(const options& options);
    ~listening_socket();
    listening_socket(const listening_socket&) = delete;
    listening_socket& operator=(const listening_socket&) = delete;

    int descriptor() const noexcept { return descriptor_; }
    /// "192.0.2.1:80", "[::1]:80", "unix:PATH": as it is bound.
    std::string local() const;
    bool is_unix() const noexcept { return unix_; }
    bool owns_path() const noexcept { return file_.is_ours(); }
    int backlog() const noexcept { return backlog_; }
    /// Somebody else listens on it too, or will: who is still in the queue when it is closed is not lost.
    bool shared() const noexcept { return shared_; }
    /// "::" was asked for, and the kernel has no IPv6: it listens on 0.0.0.0.
    bool without_ipv6() const noexcept { return without_ipv6_; }

    /// From now on the kernel drops new SYNs, or refuses who connects to the path: nobody enters the queue any more.
    /// Only for a socket that this process alone owns: it deafens whoever shares it.
    void turn_away_newcomers() noexcept;
    /// The path is this process's from here on, with the socket: whoever had it has handed it over. Else nothing.
    void take_path() noexcept;
    /// ... and another's.
    void leave_path() noexcept { file_.leave(); }
    void close() noexcept;

private:
    void listen_on_tcp(const options& options);
    void open(boost::asio::ip::tcp::endpoint& endpoint);

    int descriptor_ = -1;
    int backlog_ = 0;
    bool shared_ = false;
    bool without_ipv6_ = false;
    bool unix_ = false;
    socket_file file_;  ///< of a UNIX socket that is ours alone
};

/// Accepts connections and deals them to the loops, the one with the fewest first.
///
/// Runs as a task of the first loop, and ends when told to `close_last`. Only on that loop's thread,
/// unless it says otherwise. What finds no memory is tried again after a pause; see also loop::fail.
class listener {
public:
    listener(listening_socket& socket, std::vector<std::unique_ptr<loop>>& loops);
    ~listener();

    lifecycle::awaitable<> run();

    /// Closes without losing who stands in the queue: closing a listening socket resets its whole
    /// accept queue, so newcomers are turned away first, then everybody is let in. `closed` is called
    /// when that is done, or has been before. `at_once` turns nobody away: others listen on the socket, or nobody
    /// minds. Safe from any thread. Throws std::bad_alloc: nothing has been asked for.
    void close_last(bool at_once, std::function<void()> closed);

private:
    enum class result { accepted, empty, no_room };
    struct last_words;

    bool turn_away_newcomers();
    void let_in_the_last();
    result accept_quietly() noexcept;
    result accept_one(bool in_spite_of_limit);
    result make_room();
    bool deal(int descriptor, const socket_address& peer);
    void refuse_with_reserve();
    std::size_t open() const;

    listening_socket& socket_;
    std::vector<std::unique_ptr<loop>>& loops_;
    lifecycle::loop_timer pause_;
    using watched = boost::asio::posix::basic_stream_descriptor<lifecycle::executor>;  // a socket of either family

    std::unique_ptr<watched> watched_;
    std::vector<std::function<void()>> closed_;  ///< who hands over and who stops may come at one time
    bool running_ = false;
    bool closing_ = false;
    bool at_once_ = false;
    int reserve_ = -1;  ///< given up to answer 503 when there are no descriptors left
    lifecycle::clock::time_point last_accepted_{};
};

}  // namespace server
