#include "lifecycle/line_writer.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <signal.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

#include "tests/support/eventually.hpp"
#include "tests/support/in_time.hpp"
#include "tests/support/process.hpp"

namespace {

using lifecycle::line_writer;
using lifecycle::outlet;
using std::chrono::milliseconds;

enum class place { pipe, unopened_pipe, terminal, socket, messages };

std::string name_of(const testing::TestParamInfo<place>& which) {
    const std::array names{"APipe", "APipeThatCannotBeOpened", "ATerminal", "ASocket", "ASocketOfMessages"};
    return names.at(static_cast<std::size_t>(which.param));
}

/// Two ends; the writing one blocks, as a shell gives it, and nothing is read unless the test says so.
struct LineWriter : testing::TestWithParam<place> {
    LineWriter() {
        switch (GetParam()) {
            case place::pipe:
            case place::unopened_pipe: EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0); break;
            case place::terminal: open_terminal(); break;
            case place::socket: EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0); break;
            case place::messages:
                EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
                break;
        }
        ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
        const int little = 16 * 1024;  // of a socket, so that it does not take everything at once
        ::setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &little, sizeof little);
        previous = ::signal(SIGPIPE, SIG_IGN);
    }
    ~LineWriter() override {
        ::signal(SIGPIPE, previous);
        for (const int end : ends)
            if (end >= 0) ::close(end);
    }

    void open_terminal() {
        EXPECT_EQ(::openpty(&ends[0], &ends[1], nullptr, nullptr, nullptr), 0);
        termios how = {};
        ::tcgetattr(ends[1], &how);
        ::cfmakeraw(&how);
        ::tcsetattr(ends[1], TCSANOW, &how);
    }

    outlet::how how() const {
        return GetParam() == place::unopened_pipe ? outlet::how::as_given : outlet::how::without_waiting;
    }

    std::string read_all() const {
        std::string all;
        std::array<char, 65536> block;
        for (;;) {
            const auto got = ::read(ends[0], block.data(), block.size());
            if (got <= 0) return all;
            all.append(block.data(), static_cast<std::size_t>(got));
        }
    }

    std::array<int, 2> ends{-1, -1};
    void (*previous)(int);
};

std::string line_of(char letter, std::size_t length) { return std::string(length, letter) + '\n'; }

TEST_P(LineWriter, NeverBlocksAndDropsNothingThatItHasTaken) {
    line_writer writer(ends[1], how());
    writer.start("log");
    std::string taken;
    for (int i = 0; i < 4'000; ++i) {
        const auto line = line_of(static_cast<char>('a' + i % 26), 10 + static_cast<std::size_t>(i) % 300);
        if (writer.take(line).bytes == line.size()) taken += line;
    }
    EXPECT_GE(taken.size(), line_writer::capacity / 2);
    EXPECT_LT(taken.size(), std::size_t{4'000} * 160) << "there is no room without end";
    std::string got;
    EXPECT_TRUE(support::eventually([&] {
        got += read_all();
        return got.size() >= taken.size();
    })) << got.size();
    EXPECT_TRUE(got == taken);
}

TEST_P(LineWriter, ALineIsNeverInsideAnotherHoweverLong) {
    line_writer writer(ends[1], how());
    writer.start("log");
    const auto large = line_of('x', 150'000), small = line_of('y', 20);
    EXPECT_EQ(writer.take(large).bytes, large.size());
    EXPECT_EQ(writer.take(small).bytes, small.size());
    EXPECT_EQ(writer.take(line_of('z', 400'000)).bytes, 0U) << "what waits leaves it no room";
    std::string got;
    EXPECT_TRUE(support::eventually([&] {
        got += read_all();
        return got.size() >= large.size() + small.size();
    })) << got.size();
    EXPECT_TRUE(got == large + small);
}

TEST_P(LineWriter, EndsWithAReaderThatTakesNothing) {
    const auto began = lifecycle::clock::now();
    {
        line_writer writer(ends[1], how());
        writer.start("log");
        while (writer.take(line_of('a', 1'000)).bytes > 0) {}
        EXPECT_FALSE(writer.flush(milliseconds(10)));
        EXPECT_EQ(writer.wait(writer.take({}).until, milliseconds(10)).how, line_writer::progress::stalled);
    }
    EXPECT_TRUE(support::in_time(lifecycle::clock::now() - began, milliseconds(5'000)));
}

TEST_P(LineWriter, DoesNotChangeWhatItSharesWithOthers) {
    const int before = ::fcntl(ends[1], F_GETFL);
    line_writer writer(ends[1], how());
    writer.take("x\n");
    EXPECT_EQ(::fcntl(ends[1], F_GETFL), before);
    EXPECT_TRUE(writer.leads_where(ends[1]));
    const int again = ::dup(ends[1]);
    EXPECT_TRUE(writer.leads_where(again));
    ::close(again);
    EXPECT_FALSE(writer.leads_where(STDIN_FILENO));
}

INSTANTIATE_TEST_SUITE_P(On, LineWriter,
                         testing::Values(place::pipe, place::unopened_pipe, place::terminal, place::socket,
                                         place::messages),
                         name_of);

TEST(LineWriterToAFile, WritesByItsThreadWhereOthersWriteToo) {
    const support::temporary_directory directory;
    const auto path = directory.path() / "log";
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    {
        line_writer writer(file);
        writer.start("log");
        EXPECT_GT(writer.take("one\n").bytes, 0U);
        EXPECT_TRUE(writer.flush(milliseconds(5'000)));
        EXPECT_EQ(::write(file, "two\n", 4), 4);  // by the same offset, as a shell does
        EXPECT_GT(writer.take("three\n").bytes, 0U);
    }
    ::close(file);
    EXPECT_EQ(support::read_file(path), "one\ntwo\nthree\n");
}

TEST(LineWriterToAFile, SaysWhyAWriteFailsAndKeepsTheLine) {
    const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
    line_writer writer(full);
    writer.start("log");
    const auto [how, error] = writer.wait(writer.take("one\n").until, milliseconds(5'000));
    EXPECT_EQ(how, line_writer::progress::failed);
    EXPECT_EQ(error, ENOSPC);
    ::close(full);
}

}  // namespace
