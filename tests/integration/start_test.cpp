// A start for which the system has too little, and what is printed without one.

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "tests/integration/service.hpp"
#include "tests/support/slow_build.hpp"

namespace integration {
namespace {

using testing::HasSubstr;

/// The service under a limit of the shell's.
service::options limited(const char* limit, std::vector<std::string> flags) {
    return {.flags = std::move(flags),
            .wait_until_ready = false,
            .starter = {"/bin/bash", "-c", fmt::format(R"(ulimit {}; exec "$0" "$@")", limit)}};
}

TEST(Start, WithoutThreadsForEveryLoopItIsNeverReadyAndSaysWhy) {
    if (support::slow_build) GTEST_SKIP() << "a sanitizer needs more addresses than there are";
    service service(limited("-v 500000", {"--app.threads=250"}));  // 8 MiB of addresses for each stack
    EXPECT_EQ(service.exit_code(), 1) << service.err();
    EXPECT_THAT(service.err(), HasSubstr("app.threads may be fewer"));
    EXPECT_FALSE(std::filesystem::exists(service.directory() / "ready.json"));
}

TEST(Start, WithoutDescriptorsItIsOneLine) {
    if (support::slow_build) GTEST_SKIP() << "a sanitizer opens files of its own";
    service service(limited("-n 3", {}));
    EXPECT_EQ(service.exit_code(), 1) << service.err();
    EXPECT_THAT(service.err(), HasSubstr("cannot start"));
}

TEST(SpoolDump, IsEndedByASignalLikeOtherPrograms) {
    const support::temporary_directory root;
    const auto set = root.path() / "spool" / "set";
    std::filesystem::create_directories(set);
    ASSERT_EQ(::mkfifo((set / "00000001.seg").c_str(), 0600), 0);  // a segment of which nothing ever comes
    service dump({.flags = {"--spool-dump=" + root.path().string()}, .wait_until_ready = false});
    int writer = -1;
    ASSERT_TRUE(eventually([&] {
        writer = ::open((set / "00000001.seg").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        return writer >= 0;
    })) << "it reads: "
        << dump.err();
    dump.process().signal(SIGTERM);
    EXPECT_EQ(dump.exit_code(), -1) << "by the signal";
    ::close(writer);
}

}  // namespace
}  // namespace integration
