// When a process is ready, and what becomes of one that never is.
#include <gtest/gtest.h>

#include "tests/lifecycle/fakes.hpp"
#include "tests/lifecycle/stopping.hpp"
#include "tests/lifecycle/test_clock.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::process;
using fakes::until_asked;
using lifecycle::serves_clients;
using lifecycle::until_up;

/// What the parts of `body` make of a process that says "ready" to nothing else: its exit code and whether it ever was.
struct outcome {
    int code = -1;
    bool ready = false;
    std::string log;
};

outcome run(const std::function<void(process&)>& add) {
    process process;
    add(process);
    const auto app = process.stop.add_part("app", serves_clients);
    process.done.run(app, [&](const std::stop_token& token) {
        app.up();
        until_asked(token);
    });
    outcome seen;
    seen.code = process.done.wait({.ready = [&] { seen.ready = true; }});
    seen.ready = seen.ready || process.stop.has_been_ready();
    seen.log = process.lines->text();
    return seen;
}

TEST(Readiness, WaitsForAPartThatWasAddedUntilUp) {
    process process;
    const auto database = process.stop.add_part("database", 100ms, until_up);
    const auto app = process.stop.add_part("app", serves_clients);
    std::binary_semaphore opened{0};
    process.done.run(database, [&](const std::stop_token& token) {
        opened.acquire();
        EXPECT_FALSE(process.stop.has_been_ready());
        database.up();
        until_asked(token);
    });
    process.done.run(app, [&](const std::stop_token& token) {
        app.up();
        EXPECT_FALSE(process.stop.is_ready()) << "the database is not up";
        opened.release();
        EXPECT_TRUE(fakes::eventually([&] { return process.stop.is_ready(); }));
        process.send(SIGTERM);
        until_asked(token);
    });
    EXPECT_EQ(process.done.wait({}), 0);
}

TEST(Readiness, NeverComesWhenWhatItWaitsForCannotBeOpened) {
    for (int start = 0; start < 40; ++start) {
        const auto seen = run([](process& process) {
            const auto database = process.stop.add_part("database", 100ms, until_up);
            process.done.run(database, [](const std::stop_token&) { throw std::runtime_error("no such host"); });
        });
        EXPECT_EQ(seen.code, lifecycle::could_not_start);
        EXPECT_FALSE(seen.ready);
        EXPECT_NE(seen.log.find("database failed: no such host"), std::string::npos) << seen.log;
    }
}

TEST(Readiness, NeverComesWhenWhatItWaitsForEndsWithoutHavingBeenUp) {
    const auto seen = run([](process& process) {
        process.done.run(process.stop.add_part("database", 100ms, until_up), [](const std::stop_token&) {});
    });
    EXPECT_EQ(seen.code, lifecycle::could_not_start);
    EXPECT_FALSE(seen.ready);
    EXPECT_NE(seen.log.find("database has ended before the service was ready"), std::string::npos) << seen.log;
}

TEST(Readiness, IsWaitedForAsLongAsThePartSaysAndNoLonger) {
    const auto seen = run([](process& process) {
        process.done.run(process.stop.add_part("database", 100ms, until_up.within(20ms)), until_asked);
    });
    EXPECT_EQ(seen.code, lifecycle::could_not_start);
    EXPECT_FALSE(seen.ready);
    EXPECT_NE(seen.log.find("database is not up in time: the service cannot start"), std::string::npos) << seen.log;
}

TEST(Readiness, TellsOnceWhoIsNotUpAndNotBeforeTheTimeIsOver) {
    using enum fakes::stop_sequence::happening;
    fakes::stop_sequence sequence(fakes::settings(25s));
    fakes::time_point now{1'000'000h};
    sequence.add_part("database", 100ms, until_up.within(10s));
    sequence.complete(now);
    EXPECT_TRUE(sequence.step(now + 9'999ms, 0).empty());
    EXPECT_EQ(sequence.next_step(now), now + 10s);
    const auto events = sequence.step(now + 10s, 0);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].what, not_up);
    EXPECT_EQ(events[0].part, 0U);
    EXPECT_TRUE(sequence.step(now + 20s, 0).empty());
    EXPECT_EQ(sequence.next_step(now + 20s), fakes::time_point::max());
}

/// A mistake in the wiring of the parts: a debug build ends at once, another one starts, says so and ends with 1.
void expect_misuse(const std::function<int(process&)>& body, const char* line) {
    const fakes::folder folder;
    const auto said = folder.file("log");
    const int code = fakes::exit_code_of([&] {
        process process;
        const int ended = body(process);
        std::ofstream(said) << process.lines->text();
        return ended;
    });
    if (code == 1'000 + SIGABRT) return;
    EXPECT_EQ(code, lifecycle::could_not_start);
    EXPECT_NE(fakes::content_of(said).find(line), std::string::npos) << fakes::content_of(said);
}

TEST(Misuse, APartThatIsNeverRunIsAFailedStart) {
    expect_misuse(
        [](process& process) {
            process.stop.add_part("forgotten", 0ms);
            process.run("debug", until_asked);
            return process.done.wait({});
        },
        "forgotten is never run: the service cannot start");
}

TEST(Misuse, APartThatIsRunTwiceIsAFailedStart) {
    expect_misuse(
        [](process& process) {
            const auto debug = process.run("debug", until_asked);
            process.done.run(debug, until_asked);
            return process.done.wait({});
        },
        "debug is run twice: the service cannot start");
}

TEST(Misuse, APartThatIsAddedAfterTheRunHasBegunIsNeverRunAndEndsTheProcess) {
    expect_misuse(
        [](process& process) {
            process.run("debug", [&](const std::stop_token& token) {
                EXPECT_TRUE(fakes::eventually([&] { return process.stop.has_been_ready(); }));
                const auto late = process.stop.add_part("late", serves_clients);
                EXPECT_EQ(late.deadline(), lifecycle::clock::time_point::max());
                late.up();
                until_asked(token);
            });
            const int code = process.done.wait({});
            EXPECT_EQ(process.stop.now().cause, "part:late");
            return code == lifecycle::part_failed ? lifecycle::could_not_start : code;  // it had been ready
        },
        "late was added after the parts run: the service stops");
}

}  // namespace
