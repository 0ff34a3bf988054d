#include "tracker/failure_log.hpp"

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using tracker::failure_log;

const failure_log::time_point start{1h};

TEST(FailureLog, HasALineForTheFirstFailureAndThenOneInFiveSeconds) {
    failure_log log;
    EXPECT_EQ(log.failed(start), 1U);
    EXPECT_EQ(log.failed(start + 1ms), 0U);
    EXPECT_EQ(log.failed(start + 4'999ms), 0U);
    EXPECT_EQ(log.failed(start + 5s), 4U);
    EXPECT_EQ(log.failed(start + 6s), 0U);
    log.succeeded();
    EXPECT_EQ(log.failed(start + 7s), 1U) << "another row";
}

TEST(FailureLog, IsFailingUntilItsRowEndsNotOnlyUntilThatIsLookedAt) {
    failure_log log;
    EXPECT_FALSE(log.failing());
    log.failed(start);
    log.failed(start + 1s);
    EXPECT_EQ(log.so_far().failures, 2U);
    EXPECT_EQ(log.so_far().since, start);
    EXPECT_TRUE(log.failing());
    EXPECT_EQ(log.succeeded().failures, 2U);
    EXPECT_FALSE(log.failing());
    EXPECT_EQ(log.so_far().failures, 0U);
    EXPECT_EQ(log.succeeded().failures, 0U);
}

}  // namespace
