#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/support/eventually.hpp"

namespace support {

/// An HTTP server that plays what a test has written: well, slowly, partly, wrongly or not at all, to any number of
/// connections at a time. On a thread of its own until destroyed.
class scripted_upstream {
public:
    struct request {
        std::string head, body;
        std::string path() const;
        /// The value of a field, whose name is compared as it is written; empty when there is none.
        std::string field(const std::string& name) const;
    };
    struct reply {
        std::string bytes;
        enum class then : std::uint8_t { keep, close, reset, hang } after = then::keep;
        milliseconds pace{0};   ///< between two bytes
        milliseconds pause{0};  ///< before the first
    };
    /// `nth` counts the requests of one connection from 1. Called on the server's thread.
    using script = std::function<reply(const request&, std::size_t nth)>;

    explicit scripted_upstream(script play = by_path);
    ~scripted_upstream();
    scripted_upstream(const scripted_upstream&) = delete;
    scripted_upstream& operator=(const scripted_upstream&) = delete;

    /// "http://127.0.0.1:PORT"
    std::string origin() const;
    std::string url(std::string_view path) const { return origin() + std::string(path); }

    std::vector<request> requests() const;
    std::size_t accepted() const;  ///< connections, ever
    std::size_t open() const;      ///< now
    /// Closes the connections that wait for a request.
    void close_idle();
    /// Resets all connections and refuses new ones, from now on.
    void die();

    /// 200 with this body.
    static reply ok(std::string_view body);
    /// /ok, /slow (after 20 ms), /hang, /trickle, /reset, /cut, /garbage, /much (an endless head), /large (2 MiB),
    /// /close; /race closes without an answer unless the request is the first of its connection. Else 404.
    static reply by_path(const request& asked, std::size_t nth);

private:
    struct connection;
    enum class order : std::uint8_t { none, close_idle, die, end };

    void run();
    bool obey(order what);
    void give(order what);
    void accept_one();
    void on_bytes(connection& connection);
    void play_next(connection& connection);
    void send_some(connection& connection);
    int patience() const;

    const script play_;
    int listener_ = -1, wake_ = -1;
    std::uint16_t port_ = 0;
    std::map<int, connection> connections_;  // only on the thread
    mutable std::mutex mutex_;
    order order_ = order::none;
    std::vector<request> requests_;
    std::size_t accepted_ = 0, open_ = 0;
    std::jthread thread_;  // last: it uses the rest
};

}  // namespace support
