// What a connection in HTTP/2 asks of the kernel. Loops that turn when the test says so.
#include "server/http2/session.hpp"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "tests/http2/peer.hpp"
#include "tests/server/turning.hpp"

namespace {

int looks = 0;  // of anybody, at what is ready

}  // namespace

extern "C" int __real_epoll_wait(int set, epoll_event* events, int most, int limit);
extern "C" int __wrap_epoll_wait(int set, epoll_event* events, int most, int limit) {
    ++looks;
    return __real_epoll_wait(set, events, most, limit);
}

namespace http2_tests {
namespace {

/// A client whose bytes go through a loop.
struct connected {
    explicit connected(turning::loops& server) : loops(server), end(server.connect()) {}

    /// How often the loop looks until all that has come of what the client says is back.
    int settle() {
        end.send(client.take());
        looks = 0;
        loops.turn();
        const int took = looks;
        client.receive(std::string_view(end.seen()).substr(heard));
        heard = end.seen().size();
        return took;
    }

    turning::loops& loops;
    turning::far_end end;
    peer client;
    std::size_t heard = 0;
};

/// A layer that changes nothing.
class see_through final : public server::layer {
public:
    server::transfer_end shake(int) noexcept override {
        stage_ = stage::open;
        speaks_http2_ = true;
        return server::transfer_end::done;
    }
    server::transfer read(int socket, std::span<char> into, bool from_socket) noexcept override {
        drained_ = false;
        if (!from_socket) return {};
        const auto count = ::recv(socket, into.data(), into.size(), MSG_DONTWAIT);
        drained_ = count < static_cast<ssize_t>(into.size());
        return moved(count);
    }
    server::transfer write(int socket, std::string_view bytes, bool) noexcept override {
        return moved(::send(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
    }
    server::transfer_end farewell(int) noexcept override { return server::transfer_end::done; }
    std::string_view why() const noexcept override { return {}; }
    std::string_view subject() const noexcept override { return {}; }

private:
    static server::transfer moved(ssize_t count) noexcept {
        if (count > 0) return {.how = server::transfer_end::done, .count = static_cast<std::size_t>(count)};
        return {.how = count == 0 ? server::transfer_end::ended : server::transfer_end::would_block};
    }
};
struct see_through_source final : server::layer_source {
    std::unique_ptr<server::layer> make() override { return std::make_unique<see_through>(); }
    std::string_view refusal() const noexcept override { return {}; }
};

/// How often the loop looks for one request.
int looks_of_a_request(std::shared_ptr<server::layer_source> secure) {
    turning::loops loops(turning::says("hello"), 1, {}, std::make_shared<server::http2::source>(), std::move(secure));
    loops.first().here().resources().serving().http2 = true;
    connected connected(loops);
    connected.settle();
    connected.settle();  // the settings of the server are acknowledged
    const auto id = connected.client.get("/");
    const int took = connected.settle();
    EXPECT_EQ(connected.client.answers[id].body, "hello");
    return took;
}

TEST(Http2Session, AWakeUpThatTakesAllThereIsLooksNoMoreOftenThanOneOfHttp1) {
    turning::loops loops(turning::says("hello"));
    auto client = loops.connect();
    for (int request = 0; request < 2; ++request) {
        client.ask();
        looks = 0;
        loops.turn();
    }
    EXPECT_EQ(client.answers(), 2U);
    const int in_http1 = looks;
    EXPECT_EQ(looks_of_a_request(nullptr), in_http1);
    EXPECT_EQ(looks_of_a_request(std::make_shared<see_through_source>()), in_http1);
}

}  // namespace
}  // namespace http2_tests
