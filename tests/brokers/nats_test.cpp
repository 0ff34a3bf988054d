// Events at a real NATS JetStream, through the real binary with its modules.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

#include "tests/brokers/fake_nats.hpp"
#include "tests/brokers/nats_cluster.hpp"
#include "tests/brokers/promises.hpp"
#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"
#include "tests/support/load.hpp"

namespace {

using brokers::expect_each_once;
using brokers::nats_cluster;
using brokers::promises;
using integration::metric;
using integration::post;
using integration::service;
using support::eventually;
using support::get;
using support::milliseconds;
using testing::HasSubstr;

struct Nats : testing::Test {
    void SetUp() override {
        if (!nats_cluster::possible()) GTEST_SKIP() << "nats-server is not installed (scripts/setup test)";
    }
    static service::options with(const std::string& urls, std::vector<std::string> more = {}) {
        more.insert(more.end(), {"--tracker.sink=nats", "--tracker.nats_url=" + urls, "--tracker.retry_max=200ms"});
        service::options options;
        options.flags = std::move(more);
        options.program = SERVICE_WITH_MODULES;
        return options;
    }
    static void stop_clean(service& service) {
        EXPECT_TRUE(eventually([&] { return metric(service, "tracker_events_waiting") == 0; }, milliseconds(60'000)))
            << service.err();
        service.process().signal(SIGTERM);
        EXPECT_EQ(service.exit_code(), 0) << service.err();
        EXPECT_EQ(integration::faults(service.report()), "");
    }
};

TEST_F(Nats, EveryEventIsInAStreamThatIsMadeAndAnEventThatComesTwiceIsInItOnce) {
    nats_cluster broker(1);
    service service(with(broker.urls()));
    promises promised;
    support::load load(service.app(), promised.load_of(8));
    EXPECT_TRUE(load.run([&] { return promised.given.size() >= 500; }, milliseconds(20'000)));
    load.finish(milliseconds(5'000));
    EXPECT_EQ(service.ask(post("e0", std::string(200, 'x'))).status, 201);
    stop_clean(service);
    EXPECT_TRUE(service.logs("made the stream EVENTS with 1 replicas")) << service.err();
    expect_each_once(broker.ids_in("EVENTS"), promised.given);
}

TEST_F(Nats, WhatAnAcknowledgementIsWorthIsSaidOnceAndIsAMetric) {
    brokers::fake_nats broker;
    broker.replicas = 3;
    service service(with(broker.url()));
    EXPECT_EQ(metric(service, "tracker_sink_copies{sink=\"nats\"}"), 0) << "it is not known yet";
    EXPECT_EQ(service.ask(post("a")).status, 201);
    EXPECT_TRUE(eventually([&] { return metric(service, "tracker_sink_copies{sink=\"nats\"}") == 3; }));
    broker.cut();
    EXPECT_EQ(service.ask(post("b")).status, 201);
    EXPECT_TRUE(eventually([&] { return broker.connections() >= 2; }));
    stop_clean(service);
    const auto log = service.err();
    const std::string said =
        "what the stream EVENTS acknowledges is in the page cache (on the disk with sync_interval: "
        "always) of 3 of its servers";
    EXPECT_THAT(log, HasSubstr(said));
    EXPECT_EQ(log.find(said), log.rfind(said)) << "not at each connection";
}

TEST_F(Nats, ABrokerThatIsAwayAtTheStartIsALineAndAMetricAndGetsEverythingWhenItComes) {
    nats_cluster broker(1);
    broker.kill(0);
    service service(with(broker.urls()));
    EXPECT_TRUE(service.readiness_is(200));
    for (const auto* id : {"a", "b", "c"}) EXPECT_EQ(service.ask(post(id)).status, 201);
    EXPECT_TRUE(eventually([&] { return metric(service, "tracker_sink_healthy{sink=\"nats\"}") == 0; }));
    EXPECT_TRUE(eventually([&] { return service.err().find("sink nats fails") != std::string::npos; }));
    EXPECT_TRUE(service.readiness_is(200));
    EXPECT_EQ(metric(service, "tracker_sink_waiting{sink=\"nats\"}"), 3);
    broker.start(0);
    EXPECT_TRUE(eventually([&] { return metric(service, "tracker_sink_healthy{sink=\"nats\"}") == 1; }));
    stop_clean(service);
    expect_each_once(broker.ids_in("EVENTS"), {"a", "b", "c"});
}

TEST_F(Nats, ABrokerThatHangsCostsTheFlushShareAndTheNextRunDelivers) {
    nats_cluster broker(1);
    const support::temporary_directory root;
    const auto directory = "--tracker.directory=" + (root.path() / "events").string();
    {
        service service(with(broker.urls(), {directory, "--shutdown.flush=1s", "--shutdown.budget=3s"}));
        EXPECT_EQ(service.ask(post("before")).status, 201);
        EXPECT_TRUE(eventually([&] { return metric(service, "tracker_events_delivered_total") == 1; }));
        broker.signal(0, SIGSTOP);
        EXPECT_EQ(service.ask(post("after")).status, 201);
        const auto since = service.process().signal(SIGTERM);
        EXPECT_EQ(service.exit_code(), 0) << service.err();
        EXPECT_TRUE(support::in_time(service.lasted(since), milliseconds(4'000)));
        EXPECT_EQ(integration::faults(service.report()), "");
        EXPECT_EQ(integration::number(service.report(), "events", "spooled"), 1);
    }
    broker.signal(0, SIGCONT);
    service next(with(broker.urls(), {directory}));
    stop_clean(next);
    expect_each_once(broker.ids_in("EVENTS"), {"before", "after"});
}

TEST_F(Nats, AnEventThatTheBrokerWillNeverTakeIsADeadLetter) {
    nats_cluster broker(1, "max_payload: 4096\n");
    service service(with(broker.urls()));
    EXPECT_EQ(service.ask(post("small")).status, 201);
    EXPECT_EQ(service.ask(post("large", std::string(8000, 'x'))).status, 201);
    EXPECT_EQ(service.ask(post("small-too")).status, 201);
    stop_clean(service);
    EXPECT_EQ(integration::number(service.report(), "events", "delivered"), 2);
    EXPECT_THAT(support::read_file(service.directory() / "var/events/dead-letter.jsonl"),
                HasSubstr("\"id\":\"large\""));
    expect_each_once(broker.ids_in("EVENTS"), {"small", "small-too"});
}

TEST_F(Nats, AnEventLargerThanAllThatItsStreamMayHoldIsADeadLetterAndHoldsUpNobody) {
    for (const bool discards_old : {false, true}) {
        nats_cluster broker(1);
        broker.make_stream("EVENTS", "events", 4'096, discards_old);
        service service(with(broker.urls()));
        EXPECT_EQ(service.ask(post("small")).status, 201);
        EXPECT_EQ(service.ask(post("large", std::string(4'500, 'x'))).status, 201);
        EXPECT_EQ(service.ask(post("small-too")).status, 201);
        stop_clean(service);
        EXPECT_EQ(integration::number(service.report(), "events", "delivered"), 2) << discards_old;
        EXPECT_THAT(support::read_file(service.directory() / "var/events/dead-letter.jsonl"),
                    HasSubstr("\"id\":\"large\""));
        expect_each_once(broker.ids_in("EVENTS"), {"small", "small-too"});
    }
}

TEST_F(Nats, WhatItsUserMayNotDoIsSaidInTheBrokersWordsAndNothingIsGivenUp) {
    for (const auto* denied : {"events", "$JS.API.STREAM.INFO.EVENTS"}) {
        nats_cluster broker(1,
                            fmt::format("authorization {{ users: [{{ user: a, password: b, permissions: {{ publish: {{ "
                                        "deny: [\"{}\"] }} }} }}] }}\n",
                                        denied));
        auto url = broker.urls();
        url.insert(url.find("//") + 2, "a:b@");
        service service(with(url, {"--shutdown.flush=1s", "--shutdown.budget=3s"}));
        EXPECT_EQ(service.ask(post("a")).status, 201);
        EXPECT_TRUE(service.logs("ermissions Violation for Publish to \"" + std::string(denied))) << service.err();
        service.process().signal(SIGTERM);
        EXPECT_EQ(service.exit_code(), 0) << service.err();
        EXPECT_EQ(integration::number(service.report(), "events", "spooled"), 1);
    }
}

TEST_F(Nats, AQuestionAboutTheStreamThatNobodyAnswersIsAskedAgainSoon) {
    brokers::fake_nats broker;
    broker.silent_questions = 2;
    service service(with(broker.url()));
    EXPECT_EQ(service.ask(post("a")).status, 201);
    stop_clean(service);
    const auto asked = broker.questions();
    ASSERT_GE(asked.size(), 3U);
    EXPECT_TRUE(support::in_time(asked[2] - asked[0], milliseconds(4'000)))
        << "500 ms on a quiet machine, and not the 5 s of one question";
    EXPECT_EQ(service.err().find("sink nats fails"), std::string::npos) << service.err();
    EXPECT_EQ(broker.published(), 1U);
}

TEST_F(Nats, ABrokerThatAnswersNonsenseIsLeftAndTriedAgainWithALineInFiveSeconds) {
    brokers::fake_nats broker;
    broker.nonsense = true;
    service service(with(broker.url()));
    const auto since = support::clock::now();
    EXPECT_EQ(service.ask(post("a")).status, 201);
    EXPECT_TRUE(service.logs("sink nats fails")) << service.err();
    EXPECT_TRUE(eventually([&] { return broker.connections() >= 6; }));
    const auto log = service.err();
    const auto most = 1 + (support::clock::now() - since) / std::chrono::seconds(5);
    std::ptrdiff_t lines = 0;
    for (auto at = log.find("sink nats fails"); at != log.npos; at = log.find("sink nats fails", at + 1)) ++lines;
    EXPECT_LE(lines, most) << log;
    broker.nonsense = false;
    stop_clean(service);
    EXPECT_EQ(broker.published(), 1U);
}

/// persist_mode is younger than the broker and the library of Debian.
TEST_F(Nats, AStreamThatAcknowledgesBeforeItWritesIsRefused) {
    brokers::fake_nats broker;
    broker.persist_mode = "async";
    service service(with(broker.url(), {"--shutdown.flush=1s", "--shutdown.budget=3s"}));
    EXPECT_EQ(service.ask(post("a")).status, 201);
    EXPECT_TRUE(service.logs("acknowledges what it has not written yet (persist_mode async)")) << service.err();
    EXPECT_EQ(broker.published(), 0U);
    broker.persist_mode = "default";
    stop_clean(service);
    EXPECT_EQ(broker.published(), 1U);
}

TEST_F(Nats, AStreamThatAcknowledgesNothingIsRefused) {
    brokers::fake_nats broker;
    broker.no_ack = true;
    service service(with(broker.url(), {"--shutdown.flush=1s", "--shutdown.budget=3s"}));
    EXPECT_EQ(service.ask(post("a")).status, 201);
    EXPECT_TRUE(service.logs("stream EVENTS acknowledges nothing")) << service.err();
    EXPECT_EQ(broker.published(), 0U);
    broker.no_ack = false;
    stop_clean(service);
    EXPECT_EQ(broker.published(), 1U);
}

TEST_F(Nats, WhatIsNoAnswerAboutTheStreamIsSaidAndAskedAgain) {
    brokers::fake_nats broker;
    broker.knows_no_stream_info = true;
    service service(with(broker.url()));
    EXPECT_EQ(service.ask(post("a")).status, 201);
    EXPECT_TRUE(service.logs("stream EVENTS: what the broker says of it is not understood")) << service.err();
    broker.knows_no_stream_info = false;
    stop_clean(service);
    EXPECT_EQ(broker.published(), 1U);
}

TEST_F(Nats, AStreamThatIsMadeAnewAfterADeletionIsAWarning) {
    nats_cluster broker(1);
    service service(with(broker.urls()));
    EXPECT_EQ(service.ask(post("a")).status, 201);
    EXPECT_TRUE(eventually([&] { return metric(service, "tracker_events_delivered_total") == 1; }));
    broker.delete_stream("EVENTS");
    EXPECT_EQ(service.ask(post("b")).status, 201);
    stop_clean(service);
    EXPECT_TRUE(service.logs("the stream EVENTS was gone and is created again")) << service.err();
    expect_each_once(broker.ids_in("EVENTS"), {"b"});
}

TEST_F(Nats, AnotherSinkDoesNotWaitForABrokerThatIsAway) {
    nats_cluster broker(1);
    broker.kill(0);
    auto both = with(broker.urls(), {"--shutdown.flush=1s", "--shutdown.budget=3s"});
    std::ranges::replace(both.flags, "--tracker.sink=nats", "--tracker.sink=file,nats");
    service two(std::move(both));
    for (const auto* id : {"a", "b", "c"}) EXPECT_EQ(two.ask(post(id)).status, 201);
    EXPECT_TRUE(eventually([&] { return metric(two, "tracker_sink_waiting{sink=\"file\"}") == 0; }));
    EXPECT_EQ(metric(two, "tracker_sink_waiting{sink=\"nats\"}"), 3);
    EXPECT_EQ(std::ranges::count(two.events(), '\n'), 3);
    two.process().signal(SIGTERM);
    EXPECT_EQ(two.exit_code(), 0) << two.err();
    EXPECT_EQ(integration::number(two.report(), "events", "spooled"), 3);
}

TEST_F(Nats, AStreamWhoseDuplicateWindowIsTooShortIsNamed) {
    nats_cluster broker(1);
    {
        service service(with(broker.urls(), {"--tracker.nats_duplicate_window=1m"}));
        EXPECT_EQ(service.ask(post("a")).status, 201);
        stop_clean(service);
    }
    service next(with(broker.urls(), {"--tracker.nats_duplicate_window=1h"}));
    EXPECT_EQ(next.ask(post("b")).status, 201);
    stop_clean(next);
    EXPECT_TRUE(next.logs("the duplicate window of stream EVENTS is 60000 ms")) << next.err();
}

TEST_F(Nats, ALineAboutTheStreamComesOnceInFiveSecondsHoweverOftenItIsConnectedTo) {
    brokers::fake_nats broker;
    const auto since = support::clock::now();
    service service(with(broker.url(), {"--tracker.nats_duplicate_window=1h"}));
    for (std::size_t nth = 1; nth <= 6; ++nth) {
        EXPECT_EQ(service.ask(post(fmt::format("e{}", nth))).status, 201);
        EXPECT_TRUE(eventually([&] { return broker.connections() >= nth; })) << service.err();
        broker.cut();
    }
    stop_clean(service);
    const auto log = service.err();
    const auto most = 1 + (support::clock::now() - since) / std::chrono::seconds(5);
    std::ptrdiff_t lines = 0;
    const std::string line = "the duplicate window of stream EVENTS is 600000 ms";
    for (auto at = log.find(line); at != log.npos; at = log.find(line, at + 1)) ++lines;
    EXPECT_GE(lines, 1) << log;
    EXPECT_LE(lines, most) << log;
}

/// A certificate that vouches for itself, for 127.0.0.1; empty when there is no openssl(1).
std::string make_certificate(const std::filesystem::path& folder) {
    const auto program = support::tool("openssl");
    if (program.empty()) return "";
    support::process::options how;
    how.program = program;
    how.directory = folder / "work";
    std::filesystem::create_directories(how.directory);
    const auto stem = (folder / "own").string();
    how.arguments = {"req",
                     "-x509",
                     "-newkey",
                     "rsa:2048",
                     "-nodes",
                     "-days",
                     "2",
                     "-subj",
                     "/CN=127.0.0.1",
                     "-addext",
                     "subjectAltName=IP:127.0.0.1",
                     "-keyout",
                     stem + ".key",
                     "-out",
                     stem + ".pem"};
    support::process made(std::move(how));
    const auto status = made.wait(milliseconds(30'000));
    return status && status->code == 0 ? stem : "";
}

TEST_F(Nats, SpeaksTlsWithACertificateOfItsOwnAndTrustsNobodyElse) {
    const support::temporary_directory root;
    const auto stem = make_certificate(root.path());
    if (stem.empty()) GTEST_SKIP() << "there is no openssl to make a certificate with";
    nats_cluster broker(1, fmt::format("tls {{ cert_file: \"{0}.pem\", key_file: \"{0}.key\", ca_file: \"{0}.pem\", "
                                       "verify: true }}\n",
                                       stem));
    {
        service stranger(with(broker.urls("tls"), {"--shutdown.flush=1s", "--shutdown.budget=3s"}));
        EXPECT_EQ(stranger.ask(post("a")).status, 201);
        EXPECT_TRUE(eventually([&] { return stranger.err().find("sink nats fails") != std::string::npos; }));
        EXPECT_EQ(metric(stranger, "tracker_events_delivered_total"), 0);
    }
    service service(
        with(broker.urls("tls"), {"--tracker.nats_ca=" + stem + ".pem", "--tracker.nats_certificate=" + stem + ".pem",
                                  "--tracker.nats_key=" + stem + ".key"}));
    EXPECT_EQ(service.ask(post("b")).status, 201);
    stop_clean(service);
    EXPECT_EQ(integration::number(service.report(), "events", "delivered"), 1);
}

TEST_F(Nats, AFileThatCannotBeReadIsAFaultAtTheStart) {
    for (const auto* setting : {"nats_credentials", "nats_ca", "nats_certificate"}) {
        auto how = with("nats://127.0.0.1:4222", {fmt::format("--tracker.{}=missing.pem", setting)});
        how.wait_until_ready = false;
        service service(std::move(how));
        EXPECT_EQ(service.exit_code(), 1);
        EXPECT_TRUE(service.logs(fmt::format("tracker.{}", setting))) << service.err();
    }
}

TEST_F(Nats, ALeaderKilledWhileEventsPourInLosesNoneAndDoublesNone) {
    nats_cluster cluster(3);
    // With `disk` a producer waits for the disk: events pour in, but not by the hundred thousand.
    service service(with(cluster.urls(), {"--tracker.nats_replicas=3", "--tracker.durability=disk"}));
    EXPECT_EQ(service.ask(post("first")).status, 201);
    ASSERT_TRUE(
        eventually([&] { return metric(service, "tracker_events_delivered_total") == 1; }, milliseconds(60'000)))
        << service.err();
    promises promised;
    promised.given.insert("first");
    support::load load(service.app(), promised.load_of(1));
    const auto delivered = [&](double events) {
        return load.run([&] { return metric(service, "tracker_events_delivered_total") >= events; },
                        milliseconds(30'000));
    };
    EXPECT_TRUE(delivered(300));
    cluster.kill(cluster.leader_of("EVENTS"));
    EXPECT_TRUE(delivered(metric(service, "tracker_events_delivered_total") + 200));  // there is another leader
    load.finish(milliseconds(5'000));
    stop_clean(service);
    expect_each_once(cluster.ids_in("EVENTS"), promised.given);
}

}  // namespace
