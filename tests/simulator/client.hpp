#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/simulator/guest.hpp"

namespace simulator {

/// A client of HTTP/1.1, on one connection after the other. It believes what HTTP says and nothing else.
class client final : public guest {
public:
    client(world& in, script what, nanoseconds one_way, std::uint64_t number);

    void begin() override;
    void abandon() override;
    bool is_patient() const noexcept override { return patient_; }
    /// For how long its last request has waited without a word.
    nanoseconds silence() const;

    void established() override;
    void refused() override;
    void received(std::string_view bytes) override;

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
    request* waiting();

    world& world_;
    const nanoseconds one_way_;
    std::uint16_t port_ = 8080;
    std::size_t next_ = 0;  ///< to be sent
    std::string in_;
    std::uint64_t sent_ = 0;  ///< bytes on this connection
    bool pipelined_ = false, patient_ = true, each_fresh_ = false, gone_ = false, parts_ = false;
    std::size_t piece_ = 0, vanish_at_ = 0;
    nanoseconds pause_{0}, think_{0};
};

}  // namespace simulator
