#pragma once

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "lifecycle/task_group.hpp"
#include "server/client_table.hpp"
#include "server/net/closing_listener.hpp"
#include "server/net/listening_socket.hpp"
#include "server/net/socket_address.hpp"
#include "server/options.hpp"
#include "server/rule.hpp"

namespace server {

class loop;
struct arrival;

/// Accepts connections and deals them to the loops, the one with the fewest first.
///
/// Runs as a task of the first loop, and ends when told to `close_last`. Only on that loop's thread,
/// unless it says otherwise. What fails because memory has run out is tried again after a pause; see also loop::fail.
class listener {
public:
    listener(listening_socket& socket, std::vector<std::unique_ptr<loop>>& loops, client_table& clients);
    ~listener();

    lifecycle::awaitable<> run();

    /// Closes without losing clients that are about to come: closing a listening socket resets its whole accept queue
    /// and all handshakes under way, so both are let in first; see closing_listener. `closed` is called when that is
    /// done, or at once if it has been done before. It takes `patience` at most, and longer only while there is no
    /// descriptor even to tell a client that there is none. Safe from any thread. If it throws std::bad_alloc, nothing
    /// has begun.
    void close_last(std::chrono::milliseconds patience, std::function<void()> closed);
    /// Closes at once: others accept from the same queue. As `close_last`.
    void hand_over();

private:
    enum class result { accepted, empty, no_room };
    struct last_words;

    bool still_closing();
    bool given_up() const;
    result let_in_all();
    bool somebody_is_untold();
    void let_in_the_last();
    result accept_quietly() noexcept;
    result accept_one(bool in_spite_of_limit);
    result find_place(rule& without);
    bool make_room();
    bool somebody_waits() const;
    bool deal(int descriptor, const socket_address& peer, rule without);
    bool count(arrival& client, const options& limits);
    void measure(int descriptor);
    void refuse(int descriptor);
    result refuse_with_reserve();
    std::size_t open() const;

    listening_socket& socket_;
    std::vector<std::unique_ptr<loop>>& loops_;
    client_table& clients_;
    lifecycle::loop_timer pause_;
    using watched = boost::asio::posix::basic_stream_descriptor<lifecycle::executor>;  // a socket of either family

    std::unique_ptr<watched> watched_;
    std::vector<std::function<void()>> closed_;  ///< a hand-over and a stop may come at the same time
    bool running_ = false;
    bool closing_ = false;
    bool handed_over_ = false;
    int reserve_ = -1;  ///< given up to answer 503 when there are no descriptors left
    round_trips round_trips_;
    lifecycle::clock::time_point next_measure_{};
    std::chrono::milliseconds patience_{0};
    std::optional<closing_listener> closing_by_;
    bool somebody_came_ = false;                 ///< since that was asked last
    lifecycle::clock::time_point full_since_{};  ///< a client waits in the queue, and there is no place
};

}  // namespace server
