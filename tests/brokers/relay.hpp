// Stands between a client and a server, and can keep to itself what the server says.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <iterator>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tracker/descriptor.hpp"

namespace brokers {

/// For a server on the loopback, any number of connections. On a thread of its own until destroyed; the rest from any
/// thread.
class relay {
public:
    explicit relay(int server) : server_(address_of(server)), listener_(make_socket()) {
        auto any = address_of(0);
        socklen_t length = sizeof any;
        ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&any), length);
        ::listen(listener_.get(), 8);
        ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&any), &length);
        port_ = ntohs(any.sin_port);
        thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    }

    std::string url() const { return "nats://127.0.0.1:" + std::to_string(port_); }

    /// What the server says is thrown away from now on, or no longer; the client hears of neither.
    void swallow(bool on) { swallows_ = on; }
    bool has_swallowed(std::string_view text) const {
        const std::scoped_lock lock(mutex_);
        return swallowed_.find(text) != swallowed_.npos;
    }
    /// Ends every connection that there is.
    void cut() { cuts_ = true; }

private:
    struct pair {
        tracker::descriptor client, server;
    };

    static tracker::descriptor make_socket() {
        return tracker::descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    }
    static sockaddr_in address_of(int port) {
        sockaddr_in made{};
        made.sin_family = AF_INET;
        made.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        made.sin_port = htons(static_cast<std::uint16_t>(port));
        return made;
    }
    static bool write(const tracker::descriptor& to, std::string_view bytes) {
        while (!bytes.empty()) {
            const auto sent = ::send(to.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }

    void accept() {
        pair made{tracker::descriptor(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)), make_socket()};
        if (::connect(made.server.get(), reinterpret_cast<const sockaddr*>(&server_), sizeof server_) == 0)
            pairs_.push_back(std::move(made));
    }
    /// False: one of the two has ended it.
    bool pass_on(pair& between, bool from_server) {
        std::array<char, 65'536> room;
        const auto& from = from_server ? between.server : between.client;
        const auto size = ::recv(from.get(), room.data(), room.size(), 0);
        if (size <= 0) return false;
        const std::string_view bytes(room.data(), static_cast<std::size_t>(size));
        if (!from_server) return write(between.server, bytes);
        if (!swallows_) return write(between.client, bytes);
        const std::scoped_lock lock(mutex_);
        swallowed_ += bytes;
        return true;
    }
    void run(const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            std::vector<pollfd> watched{{listener_.get(), POLLIN, 0}};
            for (const auto& each : pairs_)
                for (const auto& end : {each.client.get(), each.server.get()}) watched.push_back({end, POLLIN, 0});
            ::poll(watched.data(), watched.size(), 20);
            auto at = watched.begin() + 1;
            for (auto each = pairs_.begin(); each != pairs_.end(); at += 2) {
                const bool goes_on =
                    (at[0].revents == 0 || pass_on(*each, false)) && (at[1].revents == 0 || pass_on(*each, true));
                each = goes_on ? std::next(each) : pairs_.erase(each);
            }
            if (watched.front().revents != 0) accept();
            if (cuts_.exchange(false)) pairs_.clear();
        }
    }

    const sockaddr_in server_;
    tracker::descriptor listener_;
    int port_ = 0;
    std::atomic<bool> swallows_{false}, cuts_{false};
    mutable std::mutex mutex_;
    std::string swallowed_;
    std::list<pair> pairs_;  // only on the thread
    std::jthread thread_;    // last: it uses the rest
};

}  // namespace brokers
