// When a process is ready, and what becomes of one that never is.
#include <gtest/gtest.h>

#include <optional>

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

/// A mistake in the wiring of the parts: a debug build ends at once, any other says so in a line and ends with 1.
void expect_misuse(const std::function<int(process&)>& body, [[maybe_unused]] const char* line) {
    const fakes::folder folder;
    const auto said = folder.file("log");
    const int code = fakes::exit_code_of([&] {
        process process;
        const int ended = body(process);
        std::ofstream(said) << process.lines->text();
        return testing::Test::HasFailure() ? 99 : ended;
    });
#ifdef ABORT_ON_MISUSE
    EXPECT_EQ(code, 1'000 + SIGABRT);
#else
    EXPECT_EQ(code, lifecycle::could_not_start);
    const auto log = fakes::content_of(said);
    const auto at = log.find(line);
    EXPECT_NE(at, std::string::npos) << log;
    EXPECT_EQ(log.find(line, at + 1), std::string::npos) << "once: " << log;
#endif
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

TEST(Misuse, APartThatIsRunTwiceAfterReadinessEndsTheProcessWithTheCodeOfAFailedStart) {
    expect_misuse(
        [](process& process) {
            const auto debug = process.run("debug", until_asked);
            return process.done.wait({.ready = [&] { process.done.run(debug, until_asked); }});
        },
        "debug is run twice: the service stops");
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
            return code;
        },
        "late was added after the parts run: the service stops");
}

TEST(Misuse, APartThatIsAddedAndRunLateIsNeverRunAndNeverAskedForItsTurns) {
    expect_misuse(
        [](process& process) {
            process.run("debug", until_asked);
            std::optional<lifecycle::part> late;
            const auto add = [&] {
                late = process.stop.add_part("late", serves_clients);
                late->count_turns_with([]() -> std::uint64_t {
                    ADD_FAILURE() << "what counts may be gone";
                    return 0;
                });
                process.done.run(*late, [](const std::stop_token&) { ADD_FAILURE() << "it runs"; });
            };
            return process.done.wait({.ready = add});
        },
        "late was added after the parts run: the service stops");
}

TEST(Misuse, APartThatIsAddedInAStopIsNamedToo) {
    expect_misuse(
        [](process& process) {
            process.run("debug", [&](const std::stop_token& token) {
                EXPECT_TRUE(fakes::eventually([&] { return process.stop.has_been_ready(); }));
                process.send(SIGTERM);
                until_asked(token);
                process.stop.add_part("late", 0ms);
            });
            const int code = process.done.wait({});
            EXPECT_EQ(process.stop.now().cause, "SIGTERM");
            return code;
        },
        "late was added after the parts run: the service stops");
}

TEST(Misuse, NoPartIsAddedBetweenTheLastLookAtThemAndTheStart) {
    expect_misuse(
        [](process& process) {
            lifecycle::part_threads parts(process.stop, process.workers, process.log);
            parts.require_all();
            const auto late = process.stop.add_part("late", 0ms);
            EXPECT_EQ(late.deadline(), lifecycle::clock::time_point::max());
            EXPECT_EQ(process.stop.now().cause, "part:late") << "it would be asked to end, and has never run";
            parts.name_late();
            return process.stop.failed_before_ready() ? lifecycle::could_not_start : lifecycle::clean;
        },
        "late was added after the parts run: the service stops");
}

}  // namespace
