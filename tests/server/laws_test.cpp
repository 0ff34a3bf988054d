// Laws that code around a machine, a loop or a set of sockets could break: each ends the process where it is broken,
// since what follows could only be wrong.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <vector>

#include "server/loop/account.hpp"
#include "server/metrics.hpp"
#include "server/net/poll_set.hpp"
#include "server/net/transport.hpp"
#include "server/request_body.hpp"
#include "tests/server/one_connection.hpp"

#ifndef NDEBUG

namespace {

using namespace one_connection;
using server::poll_set;

class ServerLawsDeath : public testing::Test {
protected:
    ServerLawsDeath() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

struct owner final : poll_set::watched {
    poll_set::rest ready() noexcept override { return poll_set::rest::taken; }
};

/// A set with a socket in it.
struct watching {
    watching() {
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
        set->watch(ends[0], first, poll_set::interest::read);
    }
    ~watching() {
        if (set) set->forget(first);
        for (const int end : ends) ::close(end);
    }
    boost::asio::io_context io{1};
    std::unique_ptr<poll_set> set = std::make_unique<poll_set>(io);
    owner first;
    int ends[2]{};
};

TEST_F(ServerLawsDeath, ASocketHasOneOwner) {
    watching in;
    owner second;
    EXPECT_DEATH(in.set->watch(in.ends[0], second, poll_set::interest::read), "before its owner was forgotten");
}

TEST_F(ServerLawsDeath, AnOwnerHasOneSocket) {
    watching in;
    EXPECT_DEATH(in.set->watch(in.ends[1], in.first, poll_set::interest::both), "an owner has one socket");
}

TEST_F(ServerLawsDeath, OwnersLeaveTheirSetBeforeItGoes) {
    watching in;
    EXPECT_DEATH(in.set.reset(), "an owner outlives the set");
}

TEST_F(ServerLawsDeath, NothingIsReadIntoNoRoom) {
    watching in;
    server::transport socket(::dup(in.ends[0]));
    EXPECT_DEATH(socket.read({}), "would look like the end");
    EXPECT_DEATH(socket.write({}), "would look like the end");
}

TEST_F(ServerLawsDeath, AConnectionBeginsOnce) {
    scene scene;
    scene.send(ask());
    EXPECT_DEATH(scene.machine().begin({}), "state_ == state::fresh");
}

TEST_F(ServerLawsDeath, AHandlerThatWasNotCalledDoesNotReturn) {
    scene scene;
    EXPECT_DEATH(scene.machine().replied({}), "phase_ == phase::handle");
}

TEST_F(ServerLawsDeath, ASourceThatWasNotAskedBringsNothing) {
    scene scene;
    EXPECT_DEATH(scene.machine().piece_came({}), "waits_ == waiting::piece");
}

TEST_F(ServerLawsDeath, NoMoreIsReadThanThereIsRoomFor) {
    scene scene;
    scene.holds_handlers = true;
    scene.send("GET / HTTP/1.1\r\n");
    const auto room = scene.machine().room().size();
    EXPECT_DEATH(scene.machine().received(room + 1, {}), "count <= work_->room");
}

TEST_F(ServerLawsDeath, ASourceGivesNoMoreThanItHasRoomFor) {
    scene scene;
    scene.holds_handlers = true;
    scene.send(ask());
    scene.stream();
    EXPECT_DEATH(scene.piece_beyond_its_room(), "no more than it has room for");
}

TEST_F(ServerLawsDeath, AProtocolIsChangedAtTheBeginning) {
    scene scene;
    scene.send(ask());
    EXPECT_DEATH(scene.machine().change_over(), "state_ == state::fresh");
}

TEST_F(ServerLawsDeath, NoMoreOfABodyComesThanWasWanted) {
    server::request_body body(std::nullopt, {}, false);
    char room[4];
    body.want(room);
    EXPECT_DEATH(body.came(5, false), "it was read into that");
}

TEST_F(ServerLawsDeath, OnlyAWorkspaceThatWasLentIsGivenBack) {
    const auto limits = std::make_shared<const server::options>();
    server::workspace_pool pool(limits), other(limits);
    EXPECT_DEATH(other.give_back(pool.lend()), "only what was lent is given back");
}

TEST_F(ServerLawsDeath, ADistributionHasOneMoreCountThanBounds) {
    server::metrics_text out(server::metrics_text::format::prometheus);
    const std::vector<double> bounds{1, 2};
    const std::vector<std::uint64_t> counts{1, 2};
    EXPECT_DEATH(out.sample("", bounds, counts, 3), "one more for what is above all bounds");
}

TEST_F(ServerLawsDeath, WhatEndsInAnAccountHasBegun) {
    server::loop_account account;
    EXPECT_DEATH(account.add({.finished = 1}), "a request begins before it ends");
    EXPECT_DEATH(account.connection_ended(false, false, false), "what closes was open");
}

}  // namespace

#endif
