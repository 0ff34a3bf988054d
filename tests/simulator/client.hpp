#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/simulator/network.hpp"

namespace simulator {

class world;

/// What a client does.
enum class script : std::uint8_t {
    get,       ///< some requests, one after the other
    events,    ///< some events, one after the other
    pipeline,  ///< several at once, events among them
    slow,      ///< a handler that waits
    trickle,   ///< an event, in small pieces
    vanish,    ///< goes in the middle
    idle,      ///< opens a connection, and asks late
    big,       ///< a long answer, read slowly
    upload,    ///< a body, larger than allowed perhaps
    ticks,     ///< a stream of events
    forger,    ///< events that look like records of the spool
    fresh,     ///< a connection for each request
    shutdown,  ///< POST /debug/shutdown, and DELETE later
    large,     ///< an event of up to a megabyte
    prober     ///< asks whether it lives
};
inline constexpr std::uint64_t scripts = static_cast<std::uint64_t>(script::large);  ///< that a seed chooses from

/// One client, on one connection after the other. It believes what HTTP says and nothing else.
class client final : public peer {
public:
    struct request {
        std::string bytes;
        int event = -1;                                         ///< in the ledger of the world
        std::string wanted = {};                                ///< the body of a 200
        std::uint64_t begins = 0, ends = 0;                     ///< of all bytes of its connection
        int connection = -1;                                    ///< -1: it has not been sent
        int status = 0;                                         ///< 0: not answered
        bool stopped = false;                                   ///< the answer before it said that none comes after it
        bool refused = false;                                   ///< nobody has listened
        bool reset = false, finished = false, garbled = false;  ///< the end of its connection, before its answer
        bool arrived = false;  ///< ... when all of it had come to a socket that was accepted, before that ended
        nanoseconds sent_at{0};
    };

    client(world& in, script what, nanoseconds one_way, std::uint64_t number);
    ~client() override;

    void begin();
    /// The process does not exist any more, and neither does what it would have said.
    void abandon();

    const std::vector<request>& requests() const noexcept { return requests_; }
    script what() const noexcept { return script_; }
    bool is_patient() const noexcept { return patient_; }
    /// For how long its last request has waited without a word.
    nanoseconds silence() const;
    std::string describe() const;

    void established() override;
    void refused() override;
    void received(std::string_view bytes) override;
    void finished() override;
    void was_reset() override;

private:
    void write_script(std::uint64_t number);
    void add(std::string bytes, int event = -1, std::string wanted = {});
    void add_event(std::string data);
    void connect();
    void send_next();
    void send_pieces(const std::string& bytes, std::size_t from);  ///< of a request
    bool parse();
    std::size_t body_end(std::size_t body, std::string& into, bool& broken) const;
    void answered(int status, std::string body, bool closes);
    void connection_ended(bool by_reset);
    request* waiting();

    world& world_;
    const script script_;
    const nanoseconds one_way_;
    std::uint16_t port_ = 8080;
    std::shared_ptr<way> way_;
    std::vector<request> requests_;
    std::size_t next_ = 0;  ///< to be sent
    std::string in_;
    std::uint64_t sent_ = 0;  ///< bytes on this connection
    int connections_ = 0;
    bool pipelined_ = false, patient_ = true, each_fresh_ = false, gone_ = false, is_open_ = false, parts_ = false;
    std::size_t piece_ = 0, vanish_at_ = 0;
    nanoseconds pause_{0}, think_{0};
};

}  // namespace simulator
