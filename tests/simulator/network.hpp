#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "tests/simulator/process.hpp"

namespace simulator {

class tcp_stream;
class tcp_listener;

/// The other end of a connection, outside of all processes. Called when something arrives there.
class peer {
public:
    virtual ~peer() = default;
    virtual void established() {}
    virtual void refused() {}
    virtual void received(std::string_view) {}
    virtual void finished() {}
    virtual void was_reset() {}
};

/// The way between a client and a server: everything arrives in order, after a while, and what is lost is sent again.
class way : public std::enable_shared_from_this<way> {
public:
    way(kernel& on, nanoseconds one_way, std::uint64_t loss, bool secured = false)
        : is_secured(secured), on_(on), one_way_(one_way), loss_(loss) {}
    virtual ~way() = default;
    way(const way&) = delete;
    way& operator=(const way&) = delete;

    // The client.

    virtual void send(std::string bytes);
    virtual void finish();
    void reset();
    void reads(bool on);
    /// Its end is gone: nothing is told to it any more.
    void leave() noexcept { client = nullptr; }
    /// So many of the bytes that it has sent had arrived when the server sent its end.
    virtual bool had(std::uint64_t bytes) const { return arrived_at_fin >= bytes; }

    // The server's kernel.

    void to_client(std::string bytes);
    /// `had`: how much had arrived when that was decided.
    void finish_to_client(std::uint64_t had);
    void reset_to_client();

    nanoseconds round_trip() const noexcept { return 2 * one_way_; }

    const bool is_secured;  ///< by TLS
    peer* client = nullptr;
    std::weak_ptr<tcp_stream> server;
    std::uint64_t arrived = 0;         ///< bytes, at the server
    std::uint64_t arrived_at_fin = 0;  ///< when that sent its FIN, or its reset
    bool fin_sent = false, reset_sent = false, is_established = false, is_accepted = false;

private:
    friend class network;
    friend class tcp_stream;
    void at_server(std::function<void(way&)> what);
    void at_client(std::function<void(way&)> what);
    void deliver();
    void answer_with_reset();

    kernel& on_;
    const nanoseconds one_way_;
    const std::uint64_t loss_;  ///< of how many segments one is lost; 0: of none
    nanoseconds last_to_server_{0}, last_to_client_{0};
    std::string unread_;  ///< by the client
    bool client_reads_ = true, fin_arrived_ = false;
};

/// The server's end of a connection.
class tcp_stream final : public description {
public:
    explicit tcp_stream(std::shared_ptr<way> by) : by_(std::move(by)) {}

    short ready() const override;
    long receive(void* into, std::size_t size, bool peeks);
    long send(std::string_view bytes);
    long read(void* into, std::size_t size) override { return receive(into, size, false); }
    long write(const void* from, std::size_t size) override { return send({static_cast<const char*>(from), size}); }
    void shut();
    void closed() override;

    void arrived(std::string_view bytes);
    void client_finished();
    void client_reset();
    void acknowledged(std::size_t bytes);

    void accepted() noexcept { by_->is_accepted = true; }
    std::size_t unacknowledged() const noexcept { return unacknowledged_; }
    nanoseconds round_trip() const noexcept { return by_->round_trip(); }

    bool resets_at_close = false;

private:
    static constexpr std::size_t most_unacknowledged = 128 * 1024;

    std::shared_ptr<way> by_;
    std::string received_;
    std::size_t unacknowledged_ = 0;
    bool finished_ = false, reset_ = false, shut_ = false;
    const fiber* looked_ = nullptr;  ///< who found nothing to read last
    std::uint64_t look_ = 0;         ///< ... by which of its calls
    std::uint64_t had_at_look_ = 0;
};

class network;

/// A socket before it is connected, and one that listens.
class tcp_listener final : public description {
public:
    explicit tcp_listener(network& on) : on_(on) {}
    short ready() const override { return queue.empty() ? 0 : POLLIN; }
    void closed() override;
    bool listen();

    network& on_;
    std::uint16_t port = 0;
    bool listens = false;
    bool turns_away = false;  ///< newcomers
    std::deque<std::shared_ptr<tcp_stream>> queue;
};

class network {
public:
    explicit network(kernel& on) : on_(on) {}

    /// A SYN is on that way.
    std::shared_ptr<way> connect(std::shared_ptr<way> made, peer& client, std::uint16_t port);

    kernel& on() const noexcept { return on_; }
    std::map<std::uint16_t, std::weak_ptr<tcp_listener>> listening;

private:
    kernel& on_;
};

}  // namespace simulator
