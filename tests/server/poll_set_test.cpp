// Sockets in one set, watched by one io_context, with real socket pairs.

#include "server/net/poll_set.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "server/net/transport.hpp"

namespace {

using server::poll_set;
using server::transport;

/// One end is watched, the other is ours.
class owner final : public poll_set::watched {
public:
    explicit owner(poll_set& in, std::function<void(owner&)> does) : set(in), does_(std::move(does)) {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) throw std::bad_alloc();
        socket = std::make_unique<transport>(ends[0]);
        other = std::make_unique<transport>(ends[1]);
        set.watch(socket->descriptor(), *this, poll_set::interest::read);
    }
    ~owner() override { leave(); }
    void leave() {
        if (socket == nullptr) return;
        set.forget(*this);
        socket = nullptr;
    }
    poll_set::rest ready() noexcept override {
        ++called;
        does_(*this);
        return takes;
    }
    void read() {
        char bytes[256];
        socket->read(bytes);
    }
    void wants(poll_set::interest what) { set.watch(socket->descriptor(), *this, what); }

    poll_set& set;
    std::unique_ptr<transport> other, socket;
    poll_set::rest takes = poll_set::rest::unknown;
    int called = 0;

private:
    std::function<void(owner&)> does_;
};

class PollSet : public testing::Test {
protected:
    ~PollSet() override {
        set.close();
        io.run();
    }
    /// All that is ready now.
    void turn() {
        io.restart();
        io.poll();
    }

    boost::asio::io_context io{1};
    int batches = 0;
    poll_set set{io, [this] { ++batches; }};
};

TEST_F(PollSet, CallsTheOwnersOfSocketsThatAreReadyAndNobodyElse) {
    owner ready(set, [](owner&owner) { owner.read(); }), quiet(set, [](owner&) {});
    ready.other->write("x");
    turn();
    EXPECT_EQ(ready.called, 1);
    EXPECT_EQ(quiet.called, 0);
    turn();
    EXPECT_EQ(ready.called, 1) << "what has been read is not said twice";
}

TEST_F(PollSet, SaysAgainWhatHasNotBeenReadAndStopsWhenNobodyWantsIt) {
    owner holder(set, [](owner&) {});
    holder.other->write("x");
    for (int turns = 0; turns < 3; ++turns) io.poll_one();
    EXPECT_GE(holder.called, 2);
    holder.wants(poll_set::interest::none);
    turn();
    const auto before = holder.called;
    turn();
    EXPECT_EQ(holder.called, before);
    holder.wants(poll_set::interest::read);
    io.restart();
    io.poll_one();
    EXPECT_GT(holder.called, before);
    holder.read();
}

TEST_F(PollSet, SaysWhatHasBeenLeftThoughNothingNewComes) {
    int bytes = 0;
    owner holder(set, [&](owner& self) {
        char byte;
        if (self.socket->read({&byte, 1}).how == transport::outcome::done) ++bytes;
    });
    holder.other->write("twenty bytes and more");
    for (int turns = 0; turns < 3; ++turns) turn();
    EXPECT_EQ(bytes, 21);
}

TEST_F(PollSet, SaysAFinBehindBytesOfWhichAllHaveBeenTaken) {
    bool ended = false;
    owner holder(set, [&](owner& self) {
        char bytes[64];
        ended = self.socket->read(bytes).how == transport::outcome::ended;
        if (ended) self.leave();
    });
    holder.takes = poll_set::rest::taken;
    holder.other->write("x");
    holder.other->finish();
    turn();
    EXPECT_TRUE(ended);
}

TEST_F(PollSet, DoesWhatIsToBeDoneBehindABatchOnceForAllOfIt) {
    owner first(set, [](owner&self) { self.read(); }), second(set, [](owner&self) { self.read(); });
    first.takes = second.takes = poll_set::rest::taken;
    first.other->write("x");
    second.other->write("x");
    turn();
    EXPECT_EQ(first.called + second.called, 2);
    EXPECT_EQ(batches, 1);
}

TEST_F(PollSet, SaysWhenThereIsRoomToWrite) {
    owner holder(set, [](owner& self) { self.wants(poll_set::interest::read); });
    holder.wants(poll_set::interest::write);
    turn();
    EXPECT_EQ(holder.called, 1);
}

TEST_F(PollSet, LooksAgainAfterAFullBatch) {
    std::vector<std::unique_ptr<owner>> many;
    for (int nth = 0; nth < 400; ++nth) {
        many.push_back(std::make_unique<owner>(set, [](owner& owner) { owner.read(); }));
        many.back()->other->write("x");
    }
    turn();
    for (const auto& each : many) EXPECT_EQ(each->called, 1);
}

TEST_F(PollSet, AnOwnerMayEndItselfAndOthersInsideABatch) {
    std::vector<std::unique_ptr<owner>> all;
    int called = 0;
    for (int nth = 0; nth < 10; ++nth) {
        all.push_back(std::make_unique<owner>(set, [&](owner&) {
            ++called;
            for (auto& each : all) each->leave();
        }));
        all.back()->other->write("x");
    }
    turn();
    EXPECT_EQ(called, 1);
}

TEST_F(PollSet, WhoComesInsideABatchIsCalledInALaterOne) {
    std::unique_ptr<owner> second;
    owner first(set, [&](owner& holder) {
        holder.read();
        second = std::make_unique<owner>(set, [](owner& late) { late.read(); });
        second->other->write("x");
    });
    first.other->write("x");
    turn();
    ASSERT_NE(second, nullptr);
    EXPECT_EQ(second->called, 1);
}

TEST_F(PollSet, WhoHasBeenForgottenIsNotCalledWhenAnotherProcessHasACopyOfTheSocket) {
    int called = 0;
    auto holder = std::make_unique<owner>(set, [&](owner&) { ++called; });
    const transport copy(::dup(holder->socket->descriptor()));
    const int number = holder->socket->descriptor();
    const auto other = std::move(holder->other);
    holder = nullptr;
    owner next(set, [](owner&) {});
    EXPECT_EQ(next.socket->descriptor(), number) << "it has the number of the one that is gone";
    other->write("x");
    io.restart();
    for (int turns = 0; turns < 3; ++turns) io.run_one_for(std::chrono::milliseconds(100));
    EXPECT_EQ(called, 0);
    EXPECT_EQ(next.called, 0);
}

TEST_F(PollSet, AFinAndAResetAreSomethingToRead) {
    transport::outcome how{};
    owner holder(set, [&](owner& self) {
        char bytes[8];
        how = self.socket->read(bytes).how;
        self.leave();
    });
    holder.other = nullptr;
    turn();
    EXPECT_EQ(how, transport::outcome::ended);
}

TEST_F(PollSet, AsioHasItsTurnThoughASocketIsReadyWithoutEnd) {
    owner holder(set, [](owner&) {});
    holder.other->write("x");
    boost::asio::steady_timer timer(io, std::chrono::milliseconds(5));
    bool fired = false;
    timer.async_wait([&](boost::system::error_code) { fired = true; });
    while (!fired) io.run_one();
    EXPECT_GE(holder.called, 1);
}

TEST_F(PollSet, WorkOfAnotherThreadWakesUpALoopThatWaits) {
    bool done = false;
    std::promise<void> waits;
    owner holder(set, [&](owner& self) {
        self.read();
        waits.set_value();
    });
    holder.other->write("x");
    std::thread other([&] {
        waits.get_future().wait();
        boost::asio::post(io, [&] { done = true; });
    });
    while (!done) io.run_one();
    other.join();
}

/// Another thread says something to the loop, and only then is a byte sent.
TEST_F(PollSet, WhatWasPostedBeforeAByteWasSentIsDoneBeforeTheByteIsSeen) {
    std::string order;
    owner holder(set, [&](owner& self) {
        self.read();
        order += " byte";
    });
    owner first(set, [&](owner& self) {
        self.read();
        std::thread([&] { boost::asio::post(io, [&] { order += "post"; }); }).join();
        holder.other->write("x");
    });
    first.takes = poll_set::rest::taken;
    first.other->write("x");
    while (order.size() < 9) io.run_one();
    EXPECT_EQ(order, "post byte");
}

/// After a standstill a deadline may have passed, and what it was for have come in time.
TEST_F(PollSet, ASocketThatIsReadyComesBeforeATimerThatIsDue) {
    std::string order;
    owner holder(set, [&](owner& self) {
        self.read();
        order += "byte ";
    });
    turn();
    boost::asio::steady_timer timer(io, std::chrono::milliseconds(-1));
    timer.async_wait([&](boost::system::error_code) { order += "timer"; });
    holder.other->write("x");
    while (order.size() < 10) io.run_one();
    EXPECT_EQ(order, "byte timer");
}

TEST_F(PollSet, WhatAnOwnerPostsIsDoneThoughNothingElseComes) {
    bool done = false;
    owner holder(set, [&](owner& self) {
        self.read();
        boost::asio::post(io, [&] { done = true; });
    });
    holder.other->write("x");
    while (!done) io.run_one();
    EXPECT_EQ(holder.called, 1);
}

TEST(PollSetGone, LeavesItsContextAsItWas) {
    boost::asio::io_context io(1);
    auto set = std::make_unique<poll_set>(io);
    boost::asio::steady_timer timer(io, std::chrono::milliseconds(1));
    bool fired = false;
    timer.async_wait([&](boost::system::error_code) { fired = true; });
    set->close();
    set = nullptr;
    io.run();
    EXPECT_TRUE(fired);
}

}  // namespace
