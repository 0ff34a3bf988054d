#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/simulator/guest.hpp"

namespace simulator {

/// A client of a WebSocket: a message, its echo, and the next, until the server closes it. Its last request stands for
/// the socket itself, which is owed a close frame.
class socket_client final : public guest {
public:
    socket_client(world& in, nanoseconds one_way, std::uint64_t number);

    void begin() override;

    void established() override;
    void refused() override;
    void received(std::string_view bytes) override;

private:
    static constexpr unsigned going_away = 1001;

    request& itself() { return requests_.back(); }
    void send(std::string bytes);
    void send_message();
    bool take_head();
    bool take_frame();
    void on_frame(unsigned kind, std::string payload);
    void on_close(unsigned code);

    world& world_;
    const nanoseconds one_way_, think_;
    const std::uint64_t number_;
    std::string in_;
    std::size_t next_ = 1;    ///< message
    std::uint64_t sent_ = 0;  ///< bytes
    bool upgraded_ = false, closed_ = false;
};

}  // namespace simulator
