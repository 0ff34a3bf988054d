#include "lifecycle/done_collector.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <stdexcept>

#include "tests/lifecycle/fakes.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::process;
using fakes::until_asked;
using lifecycle::shutdown_report;
using ::testing::ElementsAre;

/// What was done by what, in the order in which it happened.
class journal {
public:
    void add(std::string line) {
        const std::scoped_lock lock(mutex_);
        lines_.push_back(std::move(line));
    }
    std::vector<std::string> lines() const {
        const std::scoped_lock lock(mutex_);
        return lines_;
    }

private:
    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
};

TEST(DoneCollector, StopsPartsInReverseOrderOfStart) {
    process process;
    journal journal;
    for (const char* name : {"debug", "tracker", "app"})
        process.run(name, [&, name](const std::stop_token& token) {
            if (name == std::string("app")) {
                process.ready();
                process.send(SIGTERM);
            }
            until_asked(token);
            journal.add(std::string(name) + " asked");
            journal.add(std::string(name) + " home");
        });
    shutdown_report seen;
    EXPECT_EQ(process.done.wait({.account = [&](shutdown_report& report) { seen = report; }}), lifecycle::clean);
    EXPECT_THAT(journal.lines(),
                ElementsAre("app asked", "app home", "tracker asked", "tracker home", "debug asked", "debug home"));
    EXPECT_EQ(seen.cause, "SIGTERM");
    EXPECT_TRUE(seen.stragglers.empty());
    EXPECT_EQ(process.workers.live(), 0U);
    EXPECT_EQ(process.stop.phase(), lifecycle::stop_phase::stopped);
}

TEST(DoneCollector, EndsWithZeroWhenASignalComesBeforeReadiness) {
    process process;
    process.send(SIGINT);  // before there is anyone to see it
    process.run("debug", until_asked);
    process.run("app", until_asked);
    bool ready = false;
    EXPECT_EQ(process.done.wait({.ready = [&] { ready = true; }}), 0);
    EXPECT_TRUE(process.lines->has("stop begun by SIGINT"));
    EXPECT_FALSE(ready);
}

TEST(DoneCollector, StopsOnceThoughAskedTwice) {
    process process;
    process.run("app", [&](const std::stop_token& token) {
        process.ready();
        process.stop.request("debug");
        process.stop.request("debug");
        process.send(SIGTERM);  // the same stop, and not the second signal
        until_asked(token);
    });
    EXPECT_EQ(process.done.wait({}), 0);
    EXPECT_EQ(process.lines->count("stop begun by debug"), 1);
    EXPECT_EQ(process.lines->count("stopping app"), 1);
    EXPECT_FALSE(process.lines->has("second signal"));
}

TEST(DoneCollector, EndsTheOthersWhenAPartFailsAndKeepsNameAndText) {
    process process;
    journal journal;
    std::binary_semaphore go{0};
    process.run("tracker", [&](const std::stop_token&) {
        go.acquire();
        throw std::runtime_error("the disk is gone");
    });
    process.run("app", [&](const std::stop_token& token) {
        process.ready();
        go.release();
        until_asked(token);
        journal.add("app asked");
    });
    EXPECT_EQ(process.done.wait({}), lifecycle::part_failed);
    EXPECT_TRUE(process.lines->has("tracker failed: the disk is gone"));
    EXPECT_TRUE(process.lines->has("stop begun by part:tracker"));
    EXPECT_THAT(journal.lines(), ElementsAre("app asked"));
}

TEST(DoneCollector, KeepsAnExceptionOfAnyType) {
    process process;
    process.run("app", [&](const std::stop_token&) {
        process.ready();
        throw 42;
    });
    EXPECT_EQ(process.done.wait({}), lifecycle::part_failed);
    EXPECT_TRUE(process.lines->has("app failed: an exception that is not a std::exception"));
}

TEST(DoneCollector, KeepsEveryErrorOfADoubleFailure) {
    process process;
    process.run("tracker", [&](const std::stop_token&) {
        process.ready();
        throw std::runtime_error("one");
    });
    process.run("app", [&](const std::stop_token&) {
        fakes::eventually([&] { return process.stop.has_been_ready(); });
        throw std::runtime_error("two");
    });
    EXPECT_EQ(process.done.wait({}), lifecycle::part_failed);
    EXPECT_TRUE(process.lines->has("tracker failed: one"));
    EXPECT_TRUE(process.lines->has("app failed: two"));
}

TEST(DoneCollector, KeepsAFailureWhileItStops) {
    process process;
    process.run("debug", until_asked);
    process.run("tracker", [&](const std::stop_token& token) {
        until_asked(token);
        throw std::runtime_error("cannot flush");
    });
    process.run("app", [&](const std::stop_token& token) {
        process.ready();
        process.send(SIGTERM);
        until_asked(token);
    });
    EXPECT_EQ(process.done.wait({}), lifecycle::part_failed);
    EXPECT_TRUE(process.lines->has("stop begun by SIGTERM")) << "the cause is the signal";
    EXPECT_TRUE(process.lines->has("tracker failed: cannot flush"));
    EXPECT_TRUE(process.lines->has("stopping debug")) << "the others still end in order";
}

TEST(DoneCollector, EndsTheOthersWhenAPartEndsWell) {
    process process;
    journal journal;
    process.run("tracker", [&](const std::stop_token& token) {
        until_asked(token);
        journal.add("tracker asked");
    });
    process.run("app", [&](const std::stop_token&) { process.ready(); });
    EXPECT_EQ(process.done.wait({}), lifecycle::part_failed) << "it was not asked to";
    EXPECT_THAT(journal.lines(), ElementsAre("tracker asked"));
    EXPECT_TRUE(process.lines->has("stop begun by part:app"));
}

TEST(DoneCollector, CouldNotStartWhenAPartFailsBeforeReadiness) {
    process process;
    process.run("debug", until_asked);
    process.run("app", [](const std::stop_token&) { throw std::runtime_error("port 8080 is taken"); });
    EXPECT_EQ(process.done.wait({}), lifecycle::could_not_start);
    EXPECT_TRUE(process.lines->has("app failed: port 8080 is taken"));
    EXPECT_TRUE(process.lines->has("stopping debug")) << "what has been started is rolled back";
}

TEST(DoneCollector, CallsReadyOnceAndOnlyWhenReady) {
    process process;
    int calls = 0;
    process.run("app", [&](const std::stop_token& token) {
        process.send(SIGQUIT);  // wakes main before it is ready
        process.ready();
        process.ready();
        until_asked(token);
    });
    const auto ready = [&] {
        ++calls;
        process.send(SIGTERM);
    };
    EXPECT_EQ(process.done.wait({.ready = ready}), 0);
    EXPECT_EQ(calls, 1);
}

TEST(DoneCollector, CallsStacksOnQuitAsideOfMainAndGoesOn) {
    process process;
    const auto main = std::this_thread::get_id();
    std::thread::id there = main;
    process.run("app", [&](const std::stop_token& token) {
        process.send(SIGQUIT);
        until_asked(token);
    });
    const auto stacks = [&] {
        there = std::this_thread::get_id();
        process.send(SIGTERM);
    };
    EXPECT_EQ(process.done.wait({.stacks = stacks}), 0);
    EXPECT_NE(there, main) << "a thread that does not answer holds it up";
    EXPECT_TRUE(process.lines->has("stop begun by SIGTERM")) << "it went on, to be stopped later";
}

TEST(DoneCollector, ReloadsOnAWorkerOfItsOwn) {
    process process;
    std::string worker;
    process.run("app", [&](const std::stop_token& token) {
        process.send(SIGHUP);
        until_asked(token);
    });
    const auto reload = [&] {
        const auto self = static_cast<pid_t>(::syscall(SYS_gettid));
        for (const auto& each : process.workers.list())
            if (each.thread == self) worker = each.name;
        process.send(SIGTERM);
    };
    EXPECT_EQ(process.done.wait({.reload = reload}), 0);
    EXPECT_EQ(worker, "reload");
    EXPECT_EQ(process.workers.live(), 0U) << "and it was waited for";
}

TEST(DoneCollector, OutlivesAReloadThatThrows) {
    process process;
    process.run("app", [&](const std::stop_token& token) {
        process.send(SIGHUP);
        EXPECT_TRUE(fakes::eventually([&] { return process.lines->has("reload: no such file"); }));
        process.send(SIGTERM);
        until_asked(token);
    });
    EXPECT_EQ(process.done.wait({.reload = [] { throw std::runtime_error("no such file"); }}), 0);
}

TEST(DoneCollector, EndsInOrderThoughEveryHookThrows) {
    process process;
    process.run("app", [&](const std::stop_token& token) {
        process.ready();
        EXPECT_TRUE(fakes::eventually([&] { return process.lines->has("ready: no such file"); }));
        process.send(SIGTERM);
        until_asked(token);
    });
    const auto fails = [](const auto&...) { throw std::runtime_error("no such file"); };
    EXPECT_EQ(process.done.wait({.ready = fails, .account = fails, .progress = fails, .ended = fails}), 0);
    for (const auto* line : {"account: no such file", "progress: no such file", "ended: no such file"})
        EXPECT_TRUE(process.lines->has(line)) << line;
}

TEST(DoneCollector, ReloadsOnceMoreForAllThatCameDuringAReload) {
    process process;
    std::binary_semaphore first{0};
    std::atomic<int> reloads{0}, at_one_time{0};
    process.run("app", [&](const std::stop_token& token) {
        process.send(SIGHUP);
        EXPECT_TRUE(fakes::eventually([&] { return reloads == 1; }));
        for (int told = 1; told <= 3; ++told) {
            process.send(SIGHUP);
            EXPECT_TRUE(fakes::eventually(
                [&] { return process.lines->count("SIGHUP: a reload is under way, another one follows") == told; }));
        }
        first.release();
        EXPECT_TRUE(fakes::eventually([&] { return reloads == 2; }));
        process.send(SIGTERM);
        until_asked(token);
    });
    const auto reload = [&] {
        EXPECT_EQ(++at_one_time, 1);
        if (++reloads == 1) first.acquire();
        --at_one_time;
    };
    EXPECT_EQ(process.done.wait({.reload = reload}), 0);
    EXPECT_EQ(reloads, 2);
}

TEST(DoneCollector, DoesNotReloadAgainOnceAStopHasBegun) {
    process process;
    std::binary_semaphore stopping{0};
    std::atomic<int> reloads{0};
    process.run("app", [&](const std::stop_token& token) {
        process.send(SIGHUP);
        EXPECT_TRUE(fakes::eventually([&] { return reloads == 1; }));
        process.send(SIGHUP);
        EXPECT_TRUE(fakes::eventually([&] { return process.lines->has("another one follows"); }));
        process.send(SIGTERM);
        until_asked(token);
        stopping.release();
    });
    const auto reload = [&] {
        ++reloads;
        stopping.acquire();
    };
    EXPECT_EQ(process.done.wait({.reload = reload}), 0);
    EXPECT_EQ(reloads, 1);
    EXPECT_TRUE(process.lines->has("SIGHUP ignored: the service is stopping"));
}

TEST(DoneCollector, IgnoresAReloadDuringAStopWithALine) {
    process process;
    bool reloaded = false;
    process.run("app", [&](const std::stop_token& token) {
        process.send(SIGTERM);
        until_asked(token);
        process.send(SIGHUP);
        EXPECT_TRUE(fakes::eventually([&] { return process.lines->has("SIGHUP ignored: the service is stopping"); }));
    });
    EXPECT_EQ(process.done.wait({.reload = [&] { reloaded = true; }}), 0);
    EXPECT_FALSE(reloaded);
}

TEST(DoneCollector, WaitsForAReloadThatIsUnderWay) {
    process process;
    std::binary_semaphore stopping{0};
    process.run("app", [&](const std::stop_token& token) {
        process.send(SIGHUP);
        until_asked(token);
        stopping.release();  // and ends at once, while the reload still reads
    });
    const auto reload = [&] {
        process.send(SIGTERM);
        stopping.acquire();
        ::poll(nullptr, 0, 20);
    };
    EXPECT_EQ(process.done.wait({.reload = reload}), 0) << "this would be 3 if it were taken for a hung one";
}

TEST(DoneCollector, ForcesWhenTheSecondSignalComes) {
    auto options = process::brisk();
    options.budget = 2h;
    options.lame_duck = 1h;  // longer than this test may last
    process process(options);
    process.run("debug", until_asked);
    const auto app = process.stop.add_part("app", lifecycle::serves_clients);
    process.done.run(app, [&](const std::stop_token& token) {
        app.up();
        process.send(SIGTERM);
        process.send_again(SIGTERM);
        until_asked(token);
        EXPECT_TRUE(process.stop.now().forced);
        EXPECT_LE(app.deadline(), lifecycle::clock::now()) << "it is to give up now";
    });
    EXPECT_EQ(process.done.wait({}), 0) << "nothing was cut";
    EXPECT_TRUE(process.lines->has("second signal"));
}

TEST(DoneCollector, ServesOnAfterAWithdrawal) {
    auto options = process::brisk();
    options.lame_duck = 10s;
    process process(options);
    process.run("app", [&](const std::stop_token& token) {
        process.ready();
        process.stop.request("debug");
        EXPECT_TRUE(fakes::eventually([&] { return process.lines->has("stop begun by debug"); }));
        EXPECT_TRUE(process.stop.withdraw());
        EXPECT_TRUE(fakes::eventually([&] { return process.lines->has("stop withdrawn"); }));
        EXPECT_TRUE(process.stop.is_ready());
        EXPECT_FALSE(token.stop_requested());
        throw std::runtime_error("enough");
    });
    EXPECT_EQ(process.done.wait({}), lifecycle::part_failed);
    EXPECT_TRUE(process.lines->has("stop begun by part:app")) << "the second stop has its own cause";
}

TEST(DoneCollector, AStopThatFollowsAWithdrawnOneBeforeMainLooksHasATimeOfItsOwn) {
    auto options = process::brisk();
    options.lame_duck = 10s;
    process process(options);
    process.run("app", [&](const std::stop_token&) {
        process.ready();
        process.stop.request("debug");
        EXPECT_TRUE(fakes::eventually([&] { return process.lines->count("stop begun by debug") == 2; }));
        throw std::runtime_error("enough");
    });
    process.lines->on_line = [&, again = false](std::string_view line) mutable {  // on main's thread
        if (!line.starts_with("stop begun by debug") || std::exchange(again, true)) return;
        EXPECT_TRUE(process.stop.withdraw());
        process.stop.request("debug");
    };
    EXPECT_EQ(process.done.wait({}), lifecycle::part_failed);
}

TEST(DoneCollector, AnswersThreeForWhatWasCutAndFourForAnAccountThatDoesNotBalance) {
    const auto ends_with = [](const auto& account) {
        process process;
        process.run("app", until_asked);
        process.send(SIGTERM);
        return process.done.wait({.account = account});
    };
    EXPECT_EQ(ends_with([](shutdown_report&) {}), 0);
    EXPECT_EQ(ends_with([](shutdown_report& report) { report.cut = true; }), lifecycle::forced);
    EXPECT_EQ(ends_with([](shutdown_report& report) { report.lost = true; }), lifecycle::forced);
    EXPECT_EQ(ends_with([](shutdown_report& report) { report.workers_left = 1; }), lifecycle::forced);
    const auto all = [](shutdown_report& report) {
        report.cut = true;
        report.balanced = false;
    };
    EXPECT_EQ(ends_with(all), lifecycle::unbalanced) << "the highest";
}

TEST(DoneCollector, WritesTheReportAsItsLastLineAndToItsFile) {
    const fakes::folder folder;
    auto options = process::brisk();
    options.report = folder.file("report.json");
    process process(options);
    process.run("tracker", until_asked);
    process.run("app", until_asked);
    process.send(SIGTERM);
    ASSERT_EQ(process.done.wait({}), 0);
    EXPECT_THAT(folder.names(), ElementsAre("report.json")) << "no temporary file is left";
    const auto text = fakes::content_of(options.report);
    EXPECT_EQ("shutdown report " + text, process.lines->last() + "\n");
    const auto report = boost::json::parse(text).as_object();
    EXPECT_EQ(report.at("cause"), "SIGTERM");
    EXPECT_EQ(report.at("exit_code"), 0);
    EXPECT_EQ(report.at("workers_left"), 0);
    std::vector<std::string> phases;
    for (const auto& phase : report.at("phases").as_array()) phases.emplace_back(phase.at("name").as_string());
    EXPECT_THAT(phases, ElementsAre("lame_duck", "app", "tracker"));
}

TEST(DoneCollector, AnnouncesThatItAnswersAndThatAStopHasBegunAndAWithdrawal) {
    auto options = process::brisk();
    options.lame_duck = 10s;
    process process(options);
    journal journal;
    process.run("app", [&](const std::stop_token& token) {
        const auto told = [&](std::size_t count) {
            EXPECT_TRUE(fakes::eventually([&] { return journal.lines().size() == count; }));
        };
        process.ready();
        told(1);
        process.stop.request("debug");
        told(2);
        EXPECT_TRUE(process.stop.withdraw());
        told(3);
        process.send(SIGTERM);
        told(4);
        process.send_again(SIGTERM);
        until_asked(token);
    });
    const auto announce = [&](bool answers) { journal.add(answers ? "answers" : "stops"); };
    EXPECT_EQ(process.done.wait({.announce = announce}), 0);
    EXPECT_THAT(journal.lines(), ElementsAre("answers", "stops", "answers", "stops"));
}

TEST(DoneCollector, AnnouncesNothingWhenItWasNeverReady) {
    process process;
    bool told = false;
    process.run("app", until_asked);
    process.send(SIGTERM);
    EXPECT_EQ(process.done.wait({.announce = [&](bool) { told = true; }}), 0);
    EXPECT_FALSE(told);
}

TEST(DoneCollector, TellsTheNewestAndTheEndLast) {
    process process;
    journal journal;
    std::binary_semaphore serving{0};
    process.run("tracker", until_asked);
    process.run("app", [&](const std::stop_token& token) {
        process.ready();
        EXPECT_TRUE(fakes::eventually([&] { return !journal.lines().empty(); }));
        process.send(SIGTERM);
        until_asked(token);
        EXPECT_TRUE(fakes::eventually([&] { return process.lines->has("stopping app"); }));
        serving.release();
    });
    const auto progress = [&](const lifecycle::stop_channel::status& status) {
        journal.add(std::string(lifecycle::to_string(status.phase)));
        if (status.phase == lifecycle::stop_phase::serving) serving.acquire();  // a slow disk
    };
    EXPECT_EQ(process.done.wait({.progress = progress, .ended = [&](const auto&) { journal.add("ended"); }}), 0);
    const auto lines = journal.lines();
    ASSERT_GE(lines.size(), 2U);
    EXPECT_EQ(lines.front(), "serving");
    EXPECT_EQ(lines.back(), "ended");
    EXPECT_LE(std::count(lines.begin(), lines.end(), "lame_duck"), 0) << "nobody asks for it any more";
}

TEST(DoneCollector, SaysWhyThereIsNoReportFileAndStopsAllTheSame) {
    auto options = process::brisk();
    options.report = "/dev/null/report.json";
    process process(options);
    process.run("app", until_asked);
    process.send(SIGTERM);
    EXPECT_EQ(process.done.wait({}), 0);
    EXPECT_TRUE(process.lines->has("shutdown.report: cannot open /dev/null/report.json"));
}

}  // namespace
