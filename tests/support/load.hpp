#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/client.hpp"

namespace support {

/// Many keep-alive clients at once, driven by the thread of the test: it makes traffic while `run`
/// is called, so that the test decides what happens in the middle of it.
///
/// Each connection has one request under way, sends the next when the answer is whole, and connects again after
/// `Connection: close`. A connection that is refused stays away.
class load {
public:
    struct options {
        std::size_t connections = 32;
        std::function<std::string(std::uint64_t)> request;                            ///< the n-th one
        std::function<void(const std::string& sent, const response&)> answered = {};  ///< optional
        std::string greeting = {};                                                    ///< in front of a connection
    };

    /// What a client has seen. The first three are losses: nothing of the kind may happen.
    struct counts {
        std::uint64_t lost_fresh = 0;   ///< sent as the first of a connection, not one byte came back
        std::uint64_t lost_reused = 0;  ///< the same on a connection that had answered before
        std::uint64_t truncated = 0;    ///< an answer began and did not end
        std::uint64_t answered = 0;
        std::uint64_t errors = 0;         ///< of those with a status from 400
        std::uint64_t told_to_close = 0;  ///< of those with `Connection: close`
        std::uint64_t refused = 0;        ///< no connection: nobody listens any more
        std::uint64_t unused = 0;         ///< connections that ended before anything was sent
        std::uint64_t lost() const { return lost_fresh + lost_reused + truncated; }
    };

    load(const endpoint& to, options how);
    ~load();
    load(const load&) = delete;
    load& operator=(const load&) = delete;

    /// Goes on until `enough()`; false when `limit` passed first.
    bool run(const std::function<bool()>& enough, milliseconds limit);
    /// Takes what still comes, sends nothing new; false when `limit` passed first.
    bool finish(milliseconds limit);

    const counts& seen() const noexcept { return counts_; }
    /// Requests that wait for their answer.
    std::size_t waiting() const;
    /// Connections that have not been refused.
    std::size_t alive() const;

private:
    struct connection;
    void connect(connection& connection);
    void send_next(connection& connection);
    void on_event(connection& connection, short events);
    void on_bytes(connection& connection);
    void on_end(connection& connection);
    void close(connection& connection);
    void turn(int timeout);

    endpoint to_;
    options how_;
    std::vector<connection> connections_;
    counts counts_;
    std::uint64_t next_ = 0;
    bool finishing_ = false;
};

/// The same on a thread of its own until told to end.
class background_load {
public:
    background_load(const endpoint& to, load::options how)
        : load_(to, std::move(how)), thread_([this] {
              load_.run([this] { return over_.load(); }, milliseconds(100'000));
              load_.finish(milliseconds(10'000));
          }) {}

    const load::counts& finish() {
        over_ = true;
        thread_.join();
        return load_.seen();
    }

private:
    load load_;
    std::atomic<bool> over_{false};
    std::jthread thread_;  // last: it uses the rest
};

}  // namespace support
