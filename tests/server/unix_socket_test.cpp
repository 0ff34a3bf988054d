// UNIX sockets: paths, permissions, what SIGKILL has left, and how a stop treats them.
#include "server/net/unix_socket.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "configs/values.hpp"
#include "tests/server/serving.hpp"
#include "tests/support/process.hpp"

namespace serving {
namespace {

using server::listen_on_path;
using server::socket_file;
using testing::HasSubstr;

constexpr int backlog = 16;

class UnixSocket : public testing::Test {
protected:
    std::string path(std::string_view name = "app.sock") const { return (root_.path() / name).string(); }
    server::options at_path() const {
        auto options = one_loop();
        options.address = "unix:" + path();
        return options;
    }
    static unsigned mode_of(const std::string& path) {
        struct stat found {};
        return ::lstat(path.c_str(), &found) == 0 ? found.st_mode & 07777 : ~0U;
    }
    std::string refusal(const std::string& path) const {
        try {
            ::close(listen_on_path(path, 0660, backlog));
        } catch (const std::runtime_error& e) {
            return e.what();
        }
        return {};
    }

private:
    support::temporary_directory root_;
};

TEST_F(UnixSocket, HasTheModeThatIsAskedForWhateverTheUmask) {
    const auto before = ::umask(0077);
    for (const unsigned mode : {0660U, 0600U, 0777U, 0U}) {
        const int socket = listen_on_path(path(), mode, backlog);
        EXPECT_EQ(mode_of(path()), mode);
        ::close(socket);
    }
    ::umask(before);
}

TEST_F(UnixSocket, OneThatNobodyListensOnIsReplaced) {
    ::close(listen_on_path(path(), 0660, backlog));
    ASSERT_TRUE(std::filesystem::exists(path()));
    EXPECT_EQ(refusal(path()), "");
}

TEST_F(UnixSocket, OneThatSomebodyListensOnIsLeftAlone) {
    const int socket = listen_on_path(path(), 0660, backlog);
    EXPECT_THAT(refusal(path()), HasSubstr("cannot listen on unix:" + path()));
    EXPECT_THAT(refusal(path()), HasSubstr("another process listens there"));
    EXPECT_TRUE(std::filesystem::exists(path()));
    ::close(socket);
}

TEST_F(UnixSocket, WhatIsNoSocketIsLeftAlone) {
    support::write_file(path(), "precious");
    EXPECT_THAT(refusal(path()), HasSubstr("no socket"));
    EXPECT_EQ(support::read_file(path()), "precious");
    EXPECT_THAT(refusal(path("none/app.sock")), HasSubstr("its directory is not there"));
    EXPECT_THAT(refusal(path(std::string(200, 'x'))), HasSubstr("too long"));
}

TEST_F(UnixSocket, AFileIsRemovedOnlyByTheOneWhoseItIs) {
    const int first = listen_on_path(path(), 0660, backlog);
    socket_file mine(path());
    EXPECT_TRUE(mine.is_ours());
    std::filesystem::remove(path());
    const int other = listen_on_path(path(), 0660, backlog);
    mine.remove();
    EXPECT_TRUE(std::filesystem::exists(path())) << "that of another process";
    socket_file left(path());
    left.leave();
    left.remove();
    EXPECT_TRUE(std::filesystem::exists(path()));
    { const socket_file last(path()); }
    EXPECT_FALSE(std::filesystem::exists(path()));
    ::close(first);
    ::close(other);
}

TEST_F(UnixSocket, IsServedAndItsPathGoesWithIt) {
    running app(router().get("/", says("hello")).post("/", echo()), at_path());
    EXPECT_EQ(app.server().address(), "unix:" + path());
    auto client = app.connect();
    EXPECT_EQ(ask_on(client, get("/")).body, "hello");
    EXPECT_EQ(ask_on(client, support::request("POST", "/", "", std::string(300'000, 'x'))).body.size(), 300'000U);
    app.stop();
    EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(UnixSocket, AStopServesWhoIsInItsQueueAndRefusesWhoComesLater) {
    gate held;
    auto options = at_path();
    options.max_connections = 1;
    running app(router().get("/", waits_at(held)), options);
    auto first = app.connect();
    first.send(get("/"));
    ASSERT_TRUE(eventually([&] { return held.entered(); }));
    auto queued = app.connect();  // no place for it: it stays in the queue
    queued.send(get("/"));
    std::jthread stopping([&] { app.stop(); });
    EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(path()); }));
    held.open();
    EXPECT_EQ(answer_of(first).status, 200);
    EXPECT_EQ(answer_of(queued).status, 200);
    EXPECT_THROW(app.connect(), std::system_error);
    stopping.join();
}

TEST_F(UnixSocket, ThePeerIsASocketAndTrustedByItsWord) {
    auto options = at_path();
    options.access_log = true;
    options.trusted_proxies = *configs::parse_trusted("unix");
    const auto tells = [](const lifecycle::context&, const request& asked) {
        return response(http::status::ok, asked.client().text() + " by " + asked.peer.text());
    };
    running app(router().get("/", tells), options);
    EXPECT_EQ(app.ask(get("/")).body, "unix by unix");
    EXPECT_EQ(app.ask(get("/", "X-Forwarded-For: 192.0.2.7\r\n")).body, "192.0.2.7:0 by unix");
    app.stop();
    EXPECT_THAT(app.log(), HasSubstr("access unix GET / 200 "));
    EXPECT_THAT(app.log(), testing::ContainsRegex("access 192.0.2.7 GET / 200 .* -- peer unix\n"));
}

TEST_F(UnixSocket, AReaderThatStandsStillIsCut) {
    auto options = at_path();
    options.write_timeout = 100ms;
    const running app(router().get("/", says(std::string(8'000'000, 'x'))), options);
    auto client = app.connect();
    client.send(get("/"));
    EXPECT_TRUE(eventually([&] { return app.server().now().open == 0; }));
}

TEST_F(UnixSocket, AClientThatHasGoneIsSeen) {
    gate held;
    const running app(router().get("/", waits_at(held)), at_path());
    {
        auto client = app.connect();
        client.send(get("/"));
        ASSERT_TRUE(eventually([&] { return held.entered(); }));
    }
    EXPECT_TRUE(eventually([&] { return held.seen() == lifecycle::cause::client_gone; }));
}

}  // namespace
}  // namespace serving
