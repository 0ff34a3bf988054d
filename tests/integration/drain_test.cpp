// The points of a stop that real servers miss, one test each: with the point taken out, its test fails.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>

#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"

namespace integration {
namespace {

using testing::HasSubstr;

void expect_clean(service& service) {
    ASSERT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_EQ(number(service.report(), "requests", "cut"), 0);
    EXPECT_EQ(number(service.report(), "connections", "forced"), 0);
}

void expect_answer(client& connection, const std::string& who, int status = 200) {
    const auto answer = connection.receive();
    ASSERT_TRUE(answer) << who << ": no answer; ended " << static_cast<int>(connection.ended());
    EXPECT_EQ(answer->status, status) << who;
}

/// Returns once the kernel has stopped the process.
void freeze(service& service) {
    service.process().signal(SIGSTOP);
    const auto stat = fmt::format("/proc/{}/stat", service.process().pid());
    ASSERT_TRUE(eventually([&] { return support::read_file(stat).find(") T ") != std::string::npos; }));
}

/// Lets time pass as far as the process is concerned; nothing ends a frozen one.
void let_pass(service& service, milliseconds time) { ASSERT_FALSE(service.process().wait(time)); }

/// 150 connections with a request each, none of which the server has accepted: it is frozen.
void answers_the_whole_queue(service& service) {
    freeze(service);
    std::vector<client> queue;
    for (int i = 0; i < 150; ++i) {
        queue.push_back(service.connect());
        ASSERT_TRUE(queue.back().send(get("/")));
    }
    service.process().signal(SIGTERM);
    service.process().signal(SIGCONT);
    for (std::size_t i = 0; i < queue.size(); ++i) {
        expect_answer(queue[i], fmt::format("number {} in the queue", i));
        EXPECT_TRUE(queue[i].closes_silently(milliseconds(5'000))) << i;
    }
    expect_clean(service);
}

/// The account has them all, when none had to make room for another before the stop began.
void counts_the_whole_queue(service& service) {
    EXPECT_GE(number(service.report(), "connections", "accepted_after") +
                  number(service.report(), "connections", "open_at_stop"),
              150);
}

TEST(AcceptQueue, OfAFrozenProcessIsAnsweredToTheLast) {
    service service;
    answers_the_whole_queue(service);
    counts_the_whole_queue(service);
}

TEST(AcceptQueue, IsAnsweredToTheLastAfterATimeOfTraffic) {
    service service;
    for (int i = 0; i < 50; ++i) ASSERT_EQ(service.ask(get("/")).status, 200);
    answers_the_whole_queue(service);
    counts_the_whole_queue(service);
}

TEST(AcceptQueue, IsAnsweredInSpiteOfMaxConnections) {
    service service({"--app.max_connections=10"});
    answers_the_whole_queue(service);
}

TEST(AcceptQueue, WithoutDescriptorsEverybodyIsServedOrTold503) {
    service service;
    std::size_t open = 0;
    for ([[maybe_unused]] const auto& each :
         std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", service.process().pid())))
        ++open;
    const rlimit few = {open + 8, open + 8};
    ASSERT_EQ(::prlimit(service.process().pid(), RLIMIT_NOFILE, &few, nullptr), 0);
    std::vector<client> clients;
    for (int i = 0; i < 40; ++i) {
        clients.push_back(service.connect());
        ASSERT_TRUE(clients.back().send(get("/slow?ms=400")));
    }
    service.process().signal(SIGTERM);
    int served = 0, refused = 0;
    for (auto& client : clients) {
        const auto answer = client.receive();
        ASSERT_TRUE(answer) << "nobody answered; ended " << static_cast<int>(client.ended());
        (answer->status == 200 ? served : refused) += 1;
        EXPECT_THAT(answer->status, testing::AnyOf(200, 503));
    }
    EXPECT_GE(served, 4);
    EXPECT_GE(refused, 1);
    // No descriptor may be left for the report's file; the log has it.
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_TRUE(service.logs("\"cut\":0")) << service.err();
}

/// Descriptors of the service that are open on nothing. A listener keeps such a one, to tell a client 503 by.
std::vector<int> reserves(service& service) {
    std::vector<int> found;
    std::error_code gone;
    for (const auto& each : std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", service.process().pid())))
        if (std::filesystem::read_symlink(each.path(), gone) == "/dev/null")
            found.push_back(std::stoi(each.path().filename()));
    std::ranges::sort(found);
    return found;
}

/// The last is that of the debug port, and the one before it that of the app.
int reserve_of_app(service& service) { return *(reserves(service).end() - 2); }

bool has_reserve(service& service, int number) { return std::ranges::binary_search(reserves(service), number); }

/// The lowest number that is not open.
int first_free(service& service) {
    int number = 0;
    while (std::filesystem::exists(
        std::filesystem::symlink_status(fmt::format("/proc/{}/fd/{}", service.process().pid(), number))))
        ++number;
    return number;
}

constexpr int all_are_open = 4;  ///< below: those that every program has, and that of the signals

/// From now on it opens none of this number or above.
void allow_descriptors_below(service& service, int number) {
    const rlimit limit = {static_cast<rlim_t>(number), 1'024};
    ASSERT_EQ(::prlimit(service.process().pid(), RLIMIT_NOFILE, &limit, nullptr), 0);
}

/// It is given up for a moment, and something else can take it meanwhile.
TEST(AcceptQueue, AReserveThatWasLostIsMadeOfTheFirstDescriptorThatIsFree) {
    service service;
    const auto reserve = reserve_of_app(service);
    allow_descriptors_below(service, all_are_open);
    std::vector<client> clients;
    for (int i = 0; i < 8; ++i) {
        clients.push_back(service.connect());
        ASSERT_TRUE(clients.back().send(get("/slow?ms=400")));
    }
    ASSERT_TRUE(eventually([&] { return !has_reserve(service, reserve); }));
    allow_descriptors_below(service, first_free(service) + 1);
    int refused = 0;
    for (auto& client : clients) {
        const auto answer = client.receive();
        ASSERT_TRUE(answer) << "nobody answered; ended " << static_cast<int>(client.ended());
        refused += answer->status == 503 ? 1 : 0;
    }
    EXPECT_GE(refused, 6) << "a file that was open a moment ago may have given room for a client or two";
}

TEST(AcceptQueue, WhoCannotEvenBeToldIsWaitedForBeforeTheListenerCloses) {
    service service;
    const auto reserve = reserve_of_app(service);
    allow_descriptors_below(service, all_are_open);
    auto waiting = service.connect();
    ASSERT_TRUE(waiting.send(get("/")));
    ASSERT_TRUE(eventually([&] { return !has_reserve(service, reserve); }));
    service.process().signal(SIGTERM);
    ASSERT_TRUE(service.logs("stopping app"));
    let_pass(service, milliseconds(300));
    allow_descriptors_below(service, 1'024);
    expect_answer(waiting, "who waits");
    EXPECT_EQ(service.exit_code(), 0) << service.err();
}

TEST(Pipelining, ATailThatIsHalfSentAtTheStopIsServed) {
    service service;
    std::vector<client> clients;
    const auto plain = get("/");
    for (int i = 0; i < 5; ++i) {
        clients.push_back(service.connect());
        clients.back().send(fmt::format("{}{}{}{}", get("/slow?ms=300"), plain, plain, plain.substr(0, 7)));
    }
    ASSERT_TRUE(service.handles("/slow"));
    service.begin_stop(SIGTERM);
    for (auto& client : clients)
        for (int i = 0; i < 3; ++i) {
            const auto answer = client.receive();
            ASSERT_TRUE(answer);
            EXPECT_FALSE(answer->closes()) << "answer " << i << " closes, and half a request is behind it";
        }
    for (auto& client : clients) client.send(plain.substr(7));
    for (auto& client : clients) {
        const auto last = client.receive();
        ASSERT_TRUE(last);
        EXPECT_EQ(last->status, 200);
        EXPECT_TRUE(last->closes());
        EXPECT_TRUE(client.closes_silently(milliseconds(5'000)));
    }
    expect_clean(service);
}

TEST(Look, RequestsThatArriveJustBeforeTheIdleGraceEndsAreServed) {
    service service({"--shutdown.idle_grace=300ms"});
    std::vector<client> idle;
    for (int i = 0; i < 20; ++i) {
        idle.push_back(service.connect());
        ASSERT_TRUE(idle.back().exchange(get("/")));
    }
    service.begin_stop(SIGTERM);
    freeze(service);
    let_pass(service, milliseconds(400));  // when it goes on, the grace is over and the requests are there
    for (auto& each : idle) ASSERT_TRUE(each.send(get("/")));
    service.process().signal(SIGCONT);
    for (std::size_t i = 0; i < idle.size(); ++i) expect_answer(idle[i], fmt::format("connection {}", i));
    expect_clean(service);
}

TEST(Look, ARequestThatWasThereBeforeTheFinIsServed) {
    // The look for bytes and the FIN are adjacent calls: a loop turn between them loses a client that sends in it,
    // which is everybody here. On loopback both ends see a byte or a FIN at once, so one that has sent and then sees no
    // FIN has sent in time, but for one or two whose FIN the kernel of a busy machine has not delivered yet.
    service service({"--shutdown.idle_grace=300ms"});
    std::vector<client> idle;
    for (int i = 0; i < 800; ++i) {
        idle.push_back(service.connect());
        ASSERT_TRUE(idle.back().exchange(get("/")));
    }
    const auto bytes = get("/");
    const auto until = service.begin_stop(SIGTERM) + milliseconds(5'000);
    while (idle.front().quiet()) ASSERT_LT(clock::now(), until);
    std::vector<client*> in_time;
    in_time.reserve(idle.size());
    for (auto client = idle.rbegin(); client != idle.rend(); ++client)
        if (client->send(bytes) && client->quiet()) in_time.push_back(&*client);
    std::size_t crossed = 0;
    for (auto* const each : in_time) crossed += each->receive() ? 0U : 1U;
    EXPECT_LE(crossed, 2 + in_time.size() / 50) << "of " << in_time.size();
    EXPECT_EQ(service.exit_code(), 0) << service.err();
}

TEST(Linger, ALargeAnswerSurvivesRequestsThatNobodyReadsAnyMore) {
    // What is unread at a plain close() becomes a reset, and the reset throws away what the client has not
    // read yet (RFC 9112 section 9.6).
    service service;
    std::vector<client> clients;
    std::string behind;
    for (int i = 0; i < 2'000; ++i) behind += get("/");
    for (int i = 0; i < 10; ++i) {
        clients.push_back(service.connect(16 * 1024));
        clients.back().send(get("/big?bytes=3000000", "Connection: close\r\n") + behind);
    }
    service.begin_stop(SIGTERM);
    for (auto& client : clients) {
        const auto answer = client.receive();
        ASSERT_TRUE(answer) << "cut after " << client.rest().size() << " bytes";
        EXPECT_EQ(answer->body.size(), 3'000'000U);
        EXPECT_TRUE(client.closes_silently(milliseconds(5'000)));
    }
    expect_clean(service);
}

TEST(Linger, ARefusedUploadGetsItsAnswerThroughTheStop) {
    service service;
    std::vector<client> clients;
    for (int i = 0; i < 10; ++i) {
        clients.push_back(service.connect());
        clients.back().send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 90000000\r\n\r\n");
    }
    service.process().signal(SIGTERM);
    for (auto& client : clients) {
        client.send(std::string(300'000, 'x'));
        expect_answer(client, "upload", 413);
    }
    expect_clean(service);
}

TEST(Starved, AProcessThatDidNotRunDoesNotSkipItsLameDuck) {
    service service({"--shutdown.lame_duck=600ms"});
    service.begin_stop(SIGTERM);  // or the lame duck begins when it wakes up, and the test shows nothing
    freeze(service);
    let_pass(service, milliseconds(900));
    const auto awake = service.process().signal(SIGCONT);
    const auto ready = service.ask(get("/readyz"));
    EXPECT_EQ(ready.status, 503);
    let_pass(service, milliseconds(200));
    EXPECT_EQ(service.ask(get("/readyz")).status, 503);
    EXPECT_EQ(service.ask(get("/")).status, 200);
    expect_clean(service);
    EXPECT_GE(service.lasted(awake), milliseconds(400)) << "it was there for nobody";
    fmt::print("frozen through its lame duck of 600 ms: served for {} ms after it\n", service.lasted(awake).count());
}

TEST(Durations, AnIdleServiceIsGoneAtOnce) {
    std::vector<std::int64_t> took;
    for (int i = 0; i < 11; ++i) {
        service service;
        const auto when = service.process().signal(SIGTERM);
        expect_clean(service);
        took.push_back(service.lasted(when).count());
    }
    std::sort(took.begin(), took.end());
    fmt::print("idle exit: {} ms in the middle, {} at most\n", took[5], took[10]);
    EXPECT_LE(took[5], 50);
}

/// Raises the limit of descriptors of this process; false when it is lower than that.
bool may_open(rlim_t descriptors) {
    rlimit files = {};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_cur >= descriptors;
}

TEST(Durations, AThousandIdleConnectionsTakeTheIdleGrace) {
    if (!may_open(1'200)) GTEST_SKIP() << "this process may not have 1200 descriptors";
    service service({"--shutdown.idle_grace=500ms"});
    std::vector<client> idle;
    for (int i = 0; i < 1'000; ++i) {
        idle.push_back(service.connect());
        ASSERT_TRUE(idle.back().exchange(get("/")));
    }
    const auto when = service.process().signal(SIGTERM);
    expect_clean(service);
    fmt::print("1000 idle connections: {} ms with an idle grace of 500\n", service.lasted(when).count());
    EXPECT_GE(service.lasted(when), milliseconds(490));
    EXPECT_TRUE(support::in_time(service.lasted(when), milliseconds(1'000)));
    for (auto& each : idle) EXPECT_TRUE(each.closes_silently(milliseconds(1'000)));
}

TEST(Rest, WhoRestsIsServedThoughMoreThanTwoThousandHalfRequestsHoldBuffers) {
    constexpr std::size_t crowd = 2'100;  // workspace_pool::many_lent
    if (!may_open(crowd + 100)) GTEST_SKIP() << "this process may not have " << crowd << " descriptors";
    service service({"--app.threads=1", "--app.header_timeout=60s"});
    std::vector<client> half;
    for (std::size_t nth = 0; nth < crowd; ++nth) {
        half.push_back(service.connect());
        half.back().send("GET / HTTP/1.1\r\nHost: x");
    }
    auto resting = service.connect();
    auto gone = service.connect();
    ASSERT_TRUE(resting.exchange(get("/")));
    ASSERT_TRUE(gone.exchange(get("/")));
    const auto rest = [&] {
        return service.ask_debug(get("/debug/tasks")).body.find("\"resting\"") != std::string::npos;
    };
    ASSERT_TRUE(eventually(rest));
    ASSERT_TRUE(resting.exchange(get("/")));
    gone.finish_sending();
    EXPECT_TRUE(gone.closes_silently(milliseconds(10'000))) << "nor does one that has gone stay";
    for (auto& each : half) each.send("\r\n\r\n");
    for (auto& each : half) ASSERT_TRUE(each.receive());
    service.process().signal(SIGTERM);
    expect_clean(service);
}

TEST(Durations, ARequestOfASecondTakesASecond) {
    service service;
    auto connection = service.connect();
    connection.send(get("/slow?ms=1000"));
    ASSERT_TRUE(service.handles("/slow"));
    const auto when = service.process().signal(SIGTERM);
    expect_answer(connection, "the one in flight");
    const auto answered = clock::now();
    connection = client(service.debug());  // a client that has its answer closes: no lingering
    expect_clean(service);
    const auto behind = std::chrono::duration_cast<milliseconds>(clock::now() - answered);
    fmt::print("a request of 1 s in flight: {} ms, {} ms after its answer\n", service.lasted(when).count(),
               behind.count());
    EXPECT_TRUE(support::in_time(service.lasted(when), milliseconds(1'300)));
    EXPECT_TRUE(support::in_time(behind, milliseconds(300)));
}

TEST(Budget, TheTrackerHasItsShareThoughTheAppOverruns) {
    service service({"--shutdown.budget=2s", "--shutdown.idle_grace=100ms", "--shutdown.flush=500ms",
                     "--tracker.batch_age=10s", "--tracker.batch_events=100000"});
    for (int i = 0; i < 20; ++i) ASSERT_EQ(service.ask(request("POST", "/events", {}, "kept")).status, 201);
    auto waiting = service.connect();
    waiting.send(get("/slow?ms=60000"));
    ASSERT_TRUE(service.handles("/slow"));
    const auto when = service.process().signal(SIGTERM);
    expect_answer(waiting, "the one that overran", 503);
    EXPECT_EQ(service.exit_code(), 3);
    EXPECT_TRUE(support::in_time(service.lasted(when), milliseconds(2'100) + milliseconds(200)));
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_EQ(number(service.report(), "events", "delivered"), 20);
}

TEST(Budget, ThatDoesNotFitTheGraceOfTheOrchestratorIsRefused) {
    const auto refused = run_to_end({"--shutdown.budget=31s"}, {"TERMINATION_GRACE_SECONDS=30"});
    EXPECT_EQ(refused.code, 1);
    EXPECT_EQ(refused.err_lines, 1U) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr("TERMINATION_GRACE_SECONDS"));
    const auto phases = run_to_end({"--shutdown.budget=6s", "--shutdown.lame_duck=2s"});
    EXPECT_EQ(phases.code, 1);
    EXPECT_THAT(phases.err, HasSubstr("shutdown.budget"));
}

}  // namespace
}  // namespace integration
