// The settings of this service's own, in each place that they may come from.

#include <gmock/gmock.h>

#include "tests/integration/service.hpp"

namespace {

using integration::get;
using integration::run_to_end;
using integration::service;
using testing::AllOf;
using testing::HasSubstr;

TEST(Settings, AFlagWinsOverTheEnvironment) {
    const service by_variable(service::options{.environment = {"SERVICE_PREFIX_GREETING_WORD=Salut"}});
    EXPECT_EQ(by_variable.ask(get("/hello/Ada")).body, "Salut, Ada!\n");
    const service by_flag(
        service::options{.flags = {"--greeting.word=Servus"}, .environment = {"SERVICE_PREFIX_GREETING_WORD=Salut"}});
    EXPECT_EQ(by_flag.ask(get("/hello/Ada")).body, "Servus, Ada!\n");
}

TEST(Settings, OneThatIsNotAllowedStopsTheStartWithOneLineThatSaysWhy) {
    const auto refused = run_to_end({"--greeting.patience=1h"});
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.err, AllOf(HasSubstr("greeting.patience"), HasSubstr("0s to 10s")));
    EXPECT_EQ(refused.err_lines, 1U);
}

TEST(Settings, TheFileOfThisServiceIsAllowed) {
    const auto checked = run_to_end({"--config", SETTINGS_FILE, "--check-config"});
    EXPECT_EQ(checked.code, 0) << checked.err;
    EXPECT_THAT(checked.out, HasSubstr("greeting.word = \"Hello\""));
}

}  // namespace
