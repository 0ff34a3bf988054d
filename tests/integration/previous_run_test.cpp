// What the next run says of the last one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/integration/service.hpp"

namespace integration {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string metric_of(const service& service) { return service.ask_debug(get("/metrics")).body; }

TEST(PreviousRun, IsNamedAsKilledWithItsPhaseAfterSigkill) {
    const support::temporary_directory shared;
    const std::vector<std::string> flags{"--tracker.directory=" + (shared.path() / "events").string()};
    {
        service first(flags);
        EXPECT_THAT(metric_of(first), HasSubstr("previous_exit{kind=\"none\"} 1"));
        first.process().signal(SIGKILL);
        first.exit_code();
    }
    service second(flags);
    EXPECT_THAT(second.err(), HasSubstr("previous run: killed while serving"));
    EXPECT_THAT(metric_of(second), HasSubstr("previous_exit{kind=\"killed\"} 1"));
    second.process().signal(SIGTERM);
    EXPECT_EQ(second.exit_code(), 0);

    service third(flags);
    EXPECT_THAT(third.err(), Not(HasSubstr("previous run")));
    EXPECT_THAT(metric_of(third), HasSubstr("previous_exit{kind=\"clean\"} 1"));
}

TEST(PreviousRun, KilledInTheMiddleOfADrainSaysWhichPartWasStopping) {
    const support::temporary_directory shared;
    const std::vector<std::string> flags{"--tracker.directory=" + (shared.path() / "events").string()};
    {
        service first(flags);
        auto connection = first.connect();
        connection.send(get("/slow?ms=20000"));
        ASSERT_TRUE(first.handles("/slow"));
        first.begin_stop(SIGTERM);
        EXPECT_TRUE(eventually([&] { return first.err().find("stopping app") != std::string::npos; }));
        first.process().signal(SIGKILL);
        first.exit_code();
    }
    service second(flags);
    EXPECT_THAT(second.err(), HasSubstr("previous run: killed while stopping app"));
}

TEST(AccessLog, SaysWithTwoLettersWhoEndedARequestAndWhen) {
    service service({"--log.access=true"});
    service.ask(get("/"));
    service.ask("GET /slow?ms=5000 HTTP/1.1\r\nHost: a\r\nX-Request-Timeout: 50ms\r\n\r\n");
    service.ask("nonsense\r\n\r\n");
    auto drained = service.connect();
    drained.send(get("/slow?ms=600"));
    ASSERT_TRUE(service.handles("/slow"));
    service.begin_stop(SIGTERM);
    ASSERT_TRUE(drained.receive());
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_THAT(service.err(), testing::ContainsRegex("access 127.0.0.1 GET / 200 [0-9]+us [^ ]+ --"));
    EXPECT_THAT(service.err(), testing::ContainsRegex("access 127.0.0.1 GET /slow[^ ]* 504 [0-9]+us [^ ]+ TH"));
    EXPECT_THAT(service.err(), testing::ContainsRegex("access 127.0.0.1 GET /slow[^ ]* 200 [0-9]+us [^ ]+ D-"));
    EXPECT_THAT(service.err(), HasSubstr("after 0 requests PR"));
}

}  // namespace
}  // namespace integration
