// The real program with its modules and the sink kafka, where no broker is: what a stop costs then.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"

namespace integration {
namespace {

using testing::HasSubstr;

service::options with(std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--tracker.sink=kafka", "--tracker.kafka_brokers=127.0.0.1:1", "--shutdown.flush=500ms",
                               "--shutdown.budget=2s"});
    service::options options;
    options.flags = std::move(flags);
    options.program = SERVICE_WITH_MODULES;
    return options;
}

bool is_built() {
    support::process::options how;
    const support::temporary_directory root;
    how.program = SERVICE_WITH_MODULES;
    how.directory = root.path();
    how.arguments = {"--check-config", "--tracker.sink=kafka"};
    support::process asked(std::move(how));
    const auto status = asked.wait(milliseconds(30'000));
    return status && status->code == 0;
}

TEST(KafkaSink, ABrokerThatIsAwayIsALineAndAMetricAndAStopEndsInTimeWithNoThreadLeft) {
    if (!is_built()) GTEST_SKIP() << "librdkafka is not installed (scripts/setup test)";
    service service(with({}));
    EXPECT_TRUE(service.readiness_is(200));
    for (const auto* id : {"a", "b", "c"}) EXPECT_EQ(service.ask(post(id)).status, 201);
    EXPECT_TRUE(service.logs("sink kafka fails")) << service.err();
    EXPECT_THAT(service.err(), HasSubstr("127.0.0.1:1"));
    EXPECT_EQ(metric(service, "tracker_sink_healthy{sink=\"kafka\"}"), 0);
    const auto since = service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_TRUE(support::in_time(service.lasted(since), milliseconds(2'100)));
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_EQ(number(service.report(), "events", "spooled"), 3);
}

TEST(KafkaSink, AFaultInItsPropertiesIsAFaultAtTheStart) {
    if (!is_built()) GTEST_SKIP() << "librdkafka is not installed (scripts/setup test)";
    const support::temporary_directory root;
    const auto path = (root.path() / "kafka.properties").string();
    support::write_file(path, "acks=1\n");
    auto how = with({"--tracker.kafka_properties=" + path});
    how.wait_until_ready = false;
    service service(std::move(how));
    EXPECT_EQ(service.exit_code(), 1);
    EXPECT_TRUE(service.logs("line 1: acks stays as it is")) << service.err();
}

}  // namespace
}  // namespace integration
