#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulator/network.hpp"

namespace simulator {

class world;

/// What a client does. The numbers stand in files.
enum class script : std::uint8_t {
    get,        ///< some requests, one after the other
    events,     ///< some events, one after the other
    pipeline,   ///< several at once, events among them
    slow,       ///< a handler that waits
    trickle,    ///< an event, in small pieces
    vanish,     ///< goes in the middle
    idle,       ///< opens a connection, and asks late
    big,        ///< a long answer, read slowly
    upload,     ///< a body, larger than allowed perhaps
    ticks,      ///< a stream of events
    forger,     ///< events that look like records of the spool
    fresh,      ///< a connection for each request
    shutdown,   ///< POST /debug/shutdown, and DELETE later
    large,      ///< an event of up to a megabyte
    prober,     ///< asks whether it lives
    streams,    ///< HTTP/2: several at once, and more later
    socket,     ///< a WebSocket: messages, and the echo of each
    withdrawer  ///< POST /debug/shutdown and soon DELETE, on a connection that it had before
};
inline constexpr std::uint64_t scripts = static_cast<std::uint64_t>(script::large);  ///< that a seed chooses from

/// A client of any protocol, as the world and its laws see it.
class guest : public peer {
public:
    struct request {
        std::string bytes;
        int event = -1;                                         ///< in the ledger of the world
        std::string wanted = {};                                ///< the body of a 200
        std::uint64_t begins = 0, ends = 0;                     ///< of all bytes of its connection
        int connection = -1;                                    ///< -1: it has not been sent
        int status = 0;                                         ///< 0: not answered
        bool stopped = false;                                   ///< it was said that no answer comes
        bool refused = false;                                   ///< nobody has listened
        bool reset = false, finished = false, garbled = false;  ///< the end of its connection, before its answer
        bool arrived = false;  ///< ... when all of it had come to a socket that was accepted, before that ended
        nanoseconds sent_at{0};
    };

    explicit guest(script what) noexcept : script_(what) {}
    ~guest() override;

    virtual void begin() = 0;
    /// The process does not exist any more, and neither does what it would have said.
    virtual void abandon();
    /// It waits for all that it is owed.
    virtual bool is_patient() const noexcept { return true; }

    const std::vector<request>& requests() const noexcept { return requests_; }
    script what() const noexcept { return script_; }
    std::string describe() const;
    /// TLS does not vouch for the FIN that comes now: what was sent may have been more (RFC 8446 section 6.1).
    void ended_without_farewell() noexcept { is_truncated_ = true; }
    bool is_truncated() const noexcept { return is_truncated_; }

    void finished() override { connection_ended(false); }
    void was_reset() override { connection_ended(true); }

protected:
    std::vector<request> requests_;
    std::shared_ptr<way> way_;  ///< of the connection that there is, or was
    int connections_ = 0;       ///< so far; requests go over the last
    bool is_open_ = false;      ///< that connection

private:
    void connection_ended(bool by_reset);

    const script script_;
    bool is_truncated_ = false;
};

}  // namespace simulator
