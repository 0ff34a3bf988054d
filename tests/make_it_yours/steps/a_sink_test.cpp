#include <csignal>
#include <filesystem>

#include <gmock/gmock.h>

#include "tests/integration/service.hpp"

namespace {

TEST(ASink, GetsEachEventBesideTheOthers) {
    integration::service running;
    ASSERT_EQ(running.ask(integration::request("POST", "/greetings", {}, "Ada")).status, 201);
    running.begin_stop(SIGTERM);
    EXPECT_EQ(running.exit_code(), 0) << running.err();
    EXPECT_THAT(running.events(), testing::HasSubstr("Ada"));
    int files = 0;
    for (const auto& file : std::filesystem::recursive_directory_iterator(running.directory()))
        files += file.path().parent_path().filename() == "outbox";
    EXPECT_EQ(files, 1);
}

}  // namespace
