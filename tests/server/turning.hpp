// Loops without a thread, a tick or a clock: they turn when a test says so, and do all that is ready then. Clients are
// the other ends of socket pairs.
#pragma once

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/loop/thread.hpp"
#include "server/shared_places.hpp"

namespace turning {

using server::http::status;

/// The client's end of a connection. Never waits.
class far_end {
public:
    explicit far_end(int descriptor) noexcept : descriptor_(descriptor) {}
    far_end(far_end&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)), seen_(other.seen_) {}
    far_end& operator=(far_end&&) = delete;
    ~far_end() { leave(); }

    void send(std::string_view bytes) const {
        EXPECT_EQ(::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT),
                  static_cast<ssize_t>(bytes.size()));
    }
    void ask(std::string_view path = "/") const { send("GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n\r\n"); }
    /// All that has come so far.
    const std::string& seen() {
        char bytes[64 * 1024];
        auto count = ::recv(descriptor_, bytes, sizeof bytes, MSG_DONTWAIT);
        for (; count > 0; count = ::recv(descriptor_, bytes, sizeof bytes, MSG_DONTWAIT))
            seen_.append(bytes, static_cast<std::size_t>(count));
        closed_ = closed_ || count == 0 || errno != EAGAIN;
        return seen_;
    }
    /// How many answers say that.
    std::size_t answers(std::string_view line = "HTTP/1.1 200 OK") {
        std::size_t count = 0;
        for (auto at = seen().find(line); at != std::string::npos; at = seen_.find(line, at + 1)) ++count;
        return count;
    }
    bool closed() {
        seen();
        return closed_;
    }
    void leave() {
        if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
    }

private:
    int descriptor_;
    std::string seen_;
    bool closed_ = false;
};

/// Loops of one server, which does not stop. They end with this.
class loops {
public:
    explicit loops(server::router routes, std::size_t count = 1, const server::options& limits = {},
                   std::shared_ptr<server::session_source> http2 = nullptr,
                   std::shared_ptr<server::layer_source> secure = nullptr)
        : routes_(std::move(routes)),
          clients_(limits.max_connections),
          env_{.limits = std::make_shared<server::options>(limits),
               .routes = routes_,
               .log = log_,
               .access = std::make_shared<server::access_to_logger>(log_),
               .stop = nullptr,
               .deadline = {},
               .name = "app",
               .secure = std::move(secure),
               .http2 = std::move(http2),
               .observers = {},
               .clients = &clients_,
               .places = &places_,
               .failed = [this](std::size_t nth, const std::exception_ptr&) { failed.push_back(nth); }} {
        for (std::size_t nth = 0; nth < count; ++nth)
            places_.add(all.emplace_back(std::make_unique<server::loop>(env_, nth))->account());
    }
    ~loops() {
        for (auto& loop : all) {
            loop->seal();
            loop->close();
        }
        turn();
    }
    loops(const loops&) = delete;
    loops& operator=(const loops&) = delete;

    /// All that is ready, also what comes of it.
    void turn() {
        for (std::size_t done = 1; done > 0;) {
            done = 0;
            for (auto& loop : all) done += loop->context().poll();
        }
    }
    far_end connect(std::size_t nth = 0) {
        int ends[2] = {-1, -1};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
        all[nth]->adopt(ends[0], {.peer = {}, .without = server::rule::none, .share = {}});
        turn();
        return far_end(ends[1]);
    }
    server::loop& first() { return *all.front(); }
    std::uint64_t open(std::size_t nth = 0) const { return all[nth]->account().open.get(); }
    bool ended() { return first().context().stopped(); }
    server::client_table& clients() { return clients_; }
    std::string log() const { return written_.str(); }

    std::vector<std::unique_ptr<server::loop>> all;
    std::vector<std::size_t> failed;

private:
    std::ostringstream written_;
    spdlog::logger log_{"test", std::make_shared<spdlog::sinks::ostream_sink_mt>(written_)};
    const server::router routes_;
    server::client_table clients_;
    server::shared_places places_;
    server::environment env_;
};

inline server::router says(std::string body) {
    server::router all;
    all.get("/",
            [body](const lifecycle::context&, const server::request&) { return server::response(status::ok, body); });
    return all;
}

}  // namespace turning
