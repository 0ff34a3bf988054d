#include <csignal>

#include <gmock/gmock.h>

#include "tests/integration/service.hpp"

namespace {

using testing::HasSubstr;

TEST(AWorker, IsAPartAndEndsWithTheOthers) {
    integration::service running;
    const auto tasks = running.ask_debug(integration::get("/debug/tasks")).body;
    EXPECT_THAT(tasks, HasSubstr("rates"));
    EXPECT_THAT(tasks, HasSubstr("prices"));
    running.begin_stop(SIGTERM);
    EXPECT_EQ(running.exit_code(), 0) << running.err();
    EXPECT_EQ(integration::faults(running.report()), "");
}

}  // namespace
