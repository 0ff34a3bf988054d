#include <csignal>
#include <filesystem>

#include <gmock/gmock.h>

#include "tests/integration/service.hpp"

namespace {

TEST(ADependency, IsUpFirstAndIsLeftLast) {
    integration::service running;
    EXPECT_EQ(running.ask(integration::request("POST", "/visits/Ada")).status, 204);
    running.begin_stop(SIGTERM);
    EXPECT_EQ(running.exit_code(), 0) << running.err();
    std::string guests;
    for (const auto& file : std::filesystem::recursive_directory_iterator(running.directory()))
        if (file.path().filename() == "guests") guests = support::read_file(file.path());
    EXPECT_EQ(guests, "Ada 1\n");
}

}  // namespace
