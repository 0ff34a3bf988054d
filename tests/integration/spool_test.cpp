// A 201 is a promise: what the real binary keeps across SIGKILL, a full disk, a sink that is away, and itself twice.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <csignal>
#include <cstdlib>
#include <random>
#include <set>

#include "tests/integration/event_lines.hpp"
#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"
#include "tests/support/load.hpp"
#include "tests/tracker/spool_fakes.hpp"

namespace integration {
namespace {

using testing::HasSubstr;
using ids = std::set<std::string>;

int rounds() {
    const char* given = std::getenv("KILL_ROUNDS");
    return given != nullptr ? std::atoi(given) : 20;
}

struct Spool : testing::Test {
    service::options with(std::vector<std::string> more = {}) const {
        more.push_back("--tracker.directory=" + directory.string());
        more.emplace_back("--tracker.retry_max=200ms");
        return {std::move(more), {}};
    }
    void stop_clean(service& service) const {
        const auto through = [&service] {
            return metric(service, "tracker_recovery_bytes_left") == 0 &&
                   metric(service, "tracker_events_waiting") == 0;
        };
        EXPECT_TRUE(eventually(through, milliseconds(60'000)));
        service.process().signal(SIGTERM);
        EXPECT_EQ(service.exit_code(), 0) << service.err();
        EXPECT_EQ(faults(service.report()), "");
    }
    std::filesystem::path sink() const { return directory / "events.jsonl"; }

    support::temporary_directory root;
    std::filesystem::path directory = root.path() / "events";
};

struct SpoolKilled : Spool, testing::WithParamInterface<const char*> {};

TEST_P(SpoolKilled, AtAnyMomentKeepsEveryPromise) {
    ids promised;
    std::uint64_t sent = 0;
    std::minstd_rand random(std::random_device{}());
    for (int round = 0; round < rounds(); ++round) {
        service service(with({fmt::format("--tracker.durability={}", GetParam()), "--tracker.spool_bytes=2MiB",
                              "--tracker.segment_bytes=64KiB"}));
        support::load::options how;
        how.connections = 16;
        how.request = [&](std::uint64_t) {
            return post(fmt::format("e{}", sent++), std::string(random() % 2000, 'x'));
        };
        how.answered = [&](const std::string& asked, const response& answer) {
            if (answer.status != 201) return;
            const auto from = asked.find("Idempotency-Key: ") + 17;
            promised.insert(asked.substr(from, asked.find('\r', from) - from));
        };
        support::load load(service.app(), how);
        const auto enough = promised.size() + random() % 800;
        EXPECT_TRUE(load.run([&] { return promised.size() >= enough; }, milliseconds(20'000)));
        service.process().signal(SIGKILL);
        load.finish(milliseconds(5'000));
        EXPECT_EQ(service.exit_code(), -1);
    }
    service last(with());
    stop_clean(last);
    const auto at_sink = ids_in(sink());
    std::size_t missing = 0;
    for (const auto& id : promised) missing += at_sink.contains(id) ? 0U : 1U;
    EXPECT_EQ(missing, 0U) << "of " << promised.size();
    EXPECT_TRUE(std::filesystem::is_empty(directory / "spool"));
    std::printf("%d rounds of kill -9, %zu answers 201, %zu at the sink, %zu missing\n", rounds(), promised.size(),
                at_sink.size(), missing);
}

INSTANTIATE_TEST_SUITE_P(WithDurability, SpoolKilled, testing::Values("process", "disk"),
                         [](const auto& kind) { return std::string(kind.param); });

TEST_F(Spool, ASecondProcessInTheSameDirectoryServesAndDeliversWhenTheFirstHasGone) {
    service first(with());
    service second(with());
    EXPECT_EQ(first.ask(post("of-first")).status, 201);
    EXPECT_EQ(second.ask(post("of-second")).status, 201);
    EXPECT_TRUE(second.logs("another process writes its events here")) << second.err();
    EXPECT_TRUE(second.readiness_is(200));
    stop_clean(first);
    stop_clean(second);
    EXPECT_EQ(ids_in(sink()), (ids{"of-first", "of-second"}));
}

TEST_F(Spool, ALivingProcessDeliversWhatAKilledOneBesideItHasLeft) {
    service first(with({"--tracker.batch_age=1m"}));  // nothing is delivered yet
    service second(with({"--tracker.adopt_interval=50ms"}));
    EXPECT_EQ(first.ask(post("of-first")).status, 201);
    EXPECT_EQ(second.ask(post("of-second")).status, 201);
    first.process().signal(SIGKILL);
    EXPECT_EQ(first.exit_code(), -1);
    EXPECT_TRUE(eventually([&] { return metric(second, "tracker_events_delivered_total") == 2; }));
    EXPECT_EQ(metric(second, "tracker_events_recovered_total"), 1);
    stop_clean(second);
    EXPECT_EQ(ids_in(sink()), (ids{"of-first", "of-second"}));
}

TEST_F(Spool, ASinkThatIsAwayCostsTheFlushShareAndTheNextRunDelivers) {
    const std::vector<std::string> flags{"--shutdown.flush=300ms", "--shutdown.budget=3s"};
    {
        service service(with(flags));
        std::filesystem::remove(sink());
        std::filesystem::create_directories(sink());  // where the file should be
        for (const auto* id : {"a", "b", "c"}) EXPECT_EQ(service.ask(post(id)).status, 201);
        EXPECT_TRUE(service.readiness_is(200));
        const auto since = service.process().signal(SIGTERM);
        EXPECT_EQ(service.exit_code(), 0) << service.err();
        EXPECT_TRUE(support::in_time(service.lasted(since), milliseconds(4'000)));
        const auto report = service.report();
        EXPECT_EQ(faults(report), "");
        EXPECT_EQ(number(report, "events", "spooled"), 3);
    }
    const auto dump = run_to_end({"--spool-dump", directory.string()});
    EXPECT_EQ(dump.code, 0);
    EXPECT_EQ(std::count(dump.out.begin(), dump.out.end(), '\n'), 3);
    EXPECT_THAT(dump.out, HasSubstr("{\"id\":\"a\",\"time\":\""));
    EXPECT_THAT(dump.err, HasSubstr("3 events not delivered"));

    std::filesystem::remove(sink());
    service next(with());
    EXPECT_TRUE(eventually([&] { return metric(next, "tracker_events_delivered_total") == 3; }));
    EXPECT_EQ(metric(next, "tracker_events_recovered_total"), 3);
    EXPECT_TRUE(next.logs("recovered 3 events")) << next.err();
    stop_clean(next);
    EXPECT_EQ(ids_in(sink()), (ids{"a", "b", "c"}));
}

TEST_F(Spool, AFullDiskRefusesIsNotReadyAndLosesNothing) {
    std::filesystem::create_directories(directory);
    if (::mount("none", directory.c_str(), "tmpfs", 0, "size=300k") != 0)
        GTEST_SKIP() << "this kernel does not let us mount a small file system";
    ids promised;
    {
        service service(with());
        int refused = 0;
        for (int i = 0; i < 400 && refused == 0; ++i) {
            const auto id = fmt::format("e{}", i);
            const auto answer = service.ask(post(id, std::string(4000, 'x')));
            if (answer.status == 201) promised.insert(id);
            if (answer.status == 503) ++refused;
            EXPECT_TRUE(answer.status == 201 || answer.has("Retry-After"));
        }
        EXPECT_EQ(refused, 1);
        EXPECT_TRUE(service.readiness_is(503));
        EXPECT_EQ(service.ask(get("/readyz")).status, 503);
        EXPECT_EQ(service.ask(get("/livez")).status, 200);
        EXPECT_TRUE(service.logs("No space left on device")) << service.err();
        EXPECT_EQ(::mount("none", directory.c_str(), "tmpfs", MS_REMOUNT, "size=10m"), 0);
        EXPECT_TRUE(eventually([&] { return service.readiness_is(200); }));
        EXPECT_EQ(service.ask(post("after")).status, 201);
        promised.insert("after");
        stop_clean(service);
    }
    EXPECT_EQ(ids_in(sink()), promised);
    ::umount2(directory.c_str(), MNT_DETACH);
}

/// Whole records of version 1, which is no secret, and UTF-8, as a body must be.
std::string forged_records(std::size_t bytes) {
    std::string all;
    for (int number = 0; all.size() < bytes; ++number) {
        std::string text;
        auto event = fakes::make_event("forged", fmt::format("{}", number));
        event.time = {};
        fakes::append_first_version(text, 2 + static_cast<std::uint64_t>(number) % 120, event);
        if (std::ranges::all_of(text, [](char c) { return c >= 0; })) all += text;
    }
    return all;
}

struct SpoolAttacked : Spool {
    /// What a killed run leaves whose sink was away.
    std::filesystem::path left_by_a_kill(const std::vector<std::string>& bodies) {
        service service(with());
        std::filesystem::remove(sink());
        std::filesystem::create_directories(sink());  // where the file should be
        for (std::size_t i = 0; i < bodies.size(); ++i)
            EXPECT_EQ(service.ask(post(fmt::format("e{}", i), bodies[i])).status, 201);
        service.process().signal(SIGKILL);
        EXPECT_EQ(service.exit_code(), -1);
        std::filesystem::remove(sink());
        for (const auto& entry : std::filesystem::recursive_directory_iterator(directory / "spool"))
            if (entry.path().extension() == ".seg") return entry.path();
        return {};
    }
};

TEST_F(SpoolAttacked, ATornEventThatIsFullOfRecordsForgesNone) {
    const auto segment = left_by_a_kill({"x", forged_records(500'000)});
    std::filesystem::resize_file(segment, std::filesystem::file_size(segment) - 1);
    service next(with());
    EXPECT_TRUE(eventually([&] { return metric(next, "tracker_events_delivered_total") == 1; }));
    stop_clean(next);
    EXPECT_EQ(number(next.report(), "events", "recovered"), 1);
    EXPECT_EQ(ids_in(sink()), ids{"e0"});
}

TEST_F(SpoolAttacked, AFifoUnderTheNameOfASegmentIsSetAsideAndTheRestIsDelivered) {
    const auto segment = left_by_a_kill({"x", "y"});
    const auto fifo = segment.parent_path() / "00000009.seg";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    service next(with());
    EXPECT_TRUE(eventually([&] { return metric(next, "tracker_events_delivered_total") == 2; }));
    EXPECT_TRUE(next.readiness_is(200));
    EXPECT_TRUE(next.logs("00000009.seg is not a regular file: it is set aside as .damaged")) << next.err();
    stop_clean(next);
    EXPECT_EQ(ids_in(sink()), (ids{"e0", "e1"}));
}

}  // namespace
}  // namespace integration
