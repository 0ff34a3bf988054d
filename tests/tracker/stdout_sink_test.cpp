#include "tracker/stdout_sink.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <future>

#include "tests/tracker/fakes.hpp"
#include "tracker/descriptor.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::make_event;

std::string text_of(std::span<const tracker::event> batch) {
    std::string out;
    for (const auto& event : batch) {
        tracker::append_json(out, event);
        out += '\n';
    }
    return out;
}

/// A pipe whose reader is the test: nothing is read unless it says so.
struct StdoutSink : testing::TestWithParam<int> {
    StdoutSink() {
        std::array<int, 2> ends{};
        EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
        reader = tracker::descriptor(ends[0]);
        writer = tracker::descriptor(ends[1]);
        ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
        ::fcntl(writer.get(), F_SETFL, GetParam());
        ::fcntl(writer.get(), F_SETPIPE_SZ, 16 * 1024);
        previous = ::signal(SIGPIPE, SIG_IGN);
    }
    ~StdoutSink() override { ::signal(SIGPIPE, previous); }

    std::string read_all() const {
        std::string all;
        std::array<char, 4096> block;
        for (;;) {
            const auto got = ::read(reader.get(), block.data(), block.size());
            if (got <= 0) return all;
            all.append(block.data(), static_cast<std::size_t>(got));
        }
    }

    tracker::descriptor reader, writer;
    void (*previous)(int);
    // More than the pipe holds, in lines that end nowhere near the ends of its pages.
    std::vector<tracker::event> large{make_event(std::string(5'000, 'a')), make_event(std::string(30'011, 'b')),
                                      make_event("c")};
    std::vector<tracker::event> other{make_event("other")};
};

/// While one lives, threads that do not block SIGALRM get it every ten milliseconds, and its system calls go on after
/// it.
struct alarms {
    alarms() {
        struct sigaction action = {};
        action.sa_handler = [](int) {};
        action.sa_flags = SA_RESTART;
        ::sigaction(SIGALRM, &action, &before);
        const itimerval often{{0, 10'000}, {0, 10'000}};
        ::setitimer(ITIMER_REAL, &often, nullptr);
    }
    ~alarms() {
        const itimerval never{};
        ::setitimer(ITIMER_REAL, &never, nullptr);
        ::sigaction(SIGALRM, &before, nullptr);
    }
    alarms(const alarms&) = delete;
    alarms& operator=(const alarms&) = delete;
    struct sigaction before;
};

int mask_alarms(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    return ::pthread_sigmask(how, &set, nullptr);
}

TEST_P(StdoutSink, ASignalToItsThreadDoesNotMakeItWaitForItsReader) {
    mask_alarms(SIG_BLOCK);
    const alarms ringing;
    auto failed = std::async(std::launch::async, [&] {
        mask_alarms(SIG_UNBLOCK);
        tracker::stdout_sink sink(std::make_shared<lifecycle::line_writer>(writer.get()), 50ms);
        try {
            sink.deliver(large);
        } catch (const std::runtime_error&) {
            return true;
        }
        return false;
    });
    const bool in_time = failed.wait_for(10s) == std::future_status::ready;
    while (failed.wait_for(1ms) != std::future_status::ready) read_all();
    EXPECT_TRUE(in_time && failed.get());
    mask_alarms(SIG_UNBLOCK);
}

TEST_P(StdoutSink, WritesALineForEachEvent) {
    tracker::stdout_sink sink(std::make_shared<lifecycle::line_writer>(writer.get()));
    sink.deliver(other);
    EXPECT_EQ(read_all(), text_of(other));
}

TEST_P(StdoutSink, GoesOnInTheMiddleOfABatchWhenItsReaderIsSlow) {
    tracker::stdout_sink sink(std::make_shared<lifecycle::line_writer>(writer.get()), 1ms);
    std::string got;
    bool done = false;
    for (int i = 0; i < 100 && !done; ++i) {
        try {
            sink.deliver(large);
            done = true;
        } catch (const std::runtime_error& error) {
            EXPECT_NE(std::string(error.what()).find("its reader"), std::string::npos) << error.what();
            got += read_all();
        }
    }
    EXPECT_TRUE(done);
    EXPECT_TRUE(got + read_all() == text_of(large));  // too long to print
    sink.deliver(other);                              // nothing of the past is left
    EXPECT_EQ(read_all(), text_of(other));
}

TEST_P(StdoutSink, FinishesTheLineThatWasBegunBeforeAnotherBatch) {
    tracker::stdout_sink sink(std::make_shared<lifecycle::line_writer>(writer.get()), 1ms);
    EXPECT_THROW(sink.deliver(large), std::runtime_error);
    auto got = read_all();  // some lines, and most likely a part of one
    auto begun = static_cast<std::size_t>(std::count(got.begin(), got.end(), '\n'));
    if (!got.empty() && got.back() != '\n') ++begun;
    EXPECT_LT(begun, large.size());
    bool done = false;
    for (int i = 0; i < 100 && !done; ++i) {
        try {
            sink.deliver(other);
            done = true;
        } catch (const std::runtime_error&) {  // NOLINT(bugprone-empty-catch): the pipe is still full
        }
        got += read_all();
    }
    EXPECT_TRUE(done);
    EXPECT_TRUE(got == text_of({large.data(), begun}) + text_of(other));
}

TEST_P(StdoutSink, AGoneReaderIsAnErrorAndNotTheEnd) {
    tracker::stdout_sink sink(std::make_shared<lifecycle::line_writer>(writer.get()), 1ms);
    reader.reset();
    try {
        sink.deliver(other);
        FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
        EXPECT_NE(std::string(error.what()).find("Broken pipe"), std::string::npos) << error.what();
    }
}

INSTANTIATE_TEST_SUITE_P(OnAPipe, StdoutSink, testing::Values(0, O_NONBLOCK),
                         [](const auto& which) { return which.param == 0 ? "ThatBlocks" : "ThatDoesNotBlock"; });

}  // namespace
