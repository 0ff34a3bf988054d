#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "tests/http2/peer.hpp"
#include "tests/simulator/guest.hpp"

namespace simulator {

/// A client of HTTP/2 in clear, by prior knowledge, on one connection: some requests at once, and others later, as long
/// as it has not been told to go. What is said of HTTP/2 here is RFC 9113.
class streams_client final : public guest {
public:
    streams_client(world& in, nanoseconds one_way, std::uint64_t number);

    void begin() override;

    void established() override;
    void refused() override;
    void received(std::string_view bytes) override;

private:
    void add(std::string_view method, std::string_view path, std::string wanted, int event = -1);
    void write_script(std::uint64_t number);
    void ask_some(std::size_t count);
    void ask(request& next);
    void flush();
    void look();
    void look_at_goaways();

    world& world_;
    const nanoseconds one_way_;
    const std::uint64_t number_;
    http2_tests::peer peer_;
    std::map<std::int32_t, std::size_t> streams_;  ///< of which request
    std::size_t next_ = 0;                         ///< to be sent
    std::uint64_t sent_ = 0;                       ///< bytes
    std::int64_t last_ = 1LL << 31;                ///< stream that the server answers, as it has said
    std::size_t goaways_ = 0;                      ///< of them looked at
};

}  // namespace simulator
