#include <gmock/gmock.h>

#include "tests/integration/service.hpp"

namespace {

TEST(ASetting, HasAFlagARangeAndALineInTheFile) {
    const auto checked = integration::run_to_end({"--config", SETTINGS_FILE, "--check-config"});
    EXPECT_THAT(checked.out, testing::HasSubstr("greeting.most = 10"));
    const auto refused = integration::run_to_end({"--greeting.most=101", "--check-config"});
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.err, testing::HasSubstr("a whole number from 1 to 100"));
}

}  // namespace
