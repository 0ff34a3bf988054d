// A start for which the system has too little, and what is printed without one.

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "tests/integration/service.hpp"
#include "tests/support/slow_build.hpp"

namespace integration {
namespace {

using testing::HasSubstr;
using testing::Not;

/// The service under a limit of the shell's.
service::options limited(const char* limit, std::vector<std::string> flags) {
    return {.flags = std::move(flags),
            .wait_until_ready = false,
            .starter = {"/bin/bash", "-c", fmt::format(R"(ulimit {}; exec "$0" "$@")", limit)}};
}

TEST(Start, WithoutThreadsForEveryLoopItIsNeverReadyAndSaysWhy) {
    if (support::slow_build) GTEST_SKIP() << "a sanitizer needs more addresses than there are";
    // 64 MiB of addresses for each stack: it is threads that there are too few of, there is still memory.
    service service(limited("-s 65536; ulimit -v 1500000", {"--app.threads=250"}));
    EXPECT_EQ(service.exit_code(), 1) << service.err();
    EXPECT_TRUE(service.logs("app.threads may be fewer")) << service.err();
    EXPECT_FALSE(std::filesystem::exists(service.directory() / "ready.json"));
}

TEST(Start, WithoutMemoryForEveryLoopEndsAsAStartThatFailed) {
    if (support::slow_build) GTEST_SKIP() << "a sanitizer needs more addresses than there are";
    // The stacks of the threads take all the addresses, and whatever begins on one finds none.
    for (const char* const limit : {"-v 207000", "-v 209000", "-v 211000", "-v 211171", "-v 213000", "-v 300000",
                                    "-v 500000", "-v 501000", "-v 502000", "-v 503000", "-v 700000"}) {
        service service(limited(limit, {"--app.threads=250"}));
        EXPECT_EQ(service.exit_code(), 1) << limit << '\n' << service.err();
        EXPECT_THAT(service.err(), Not(HasSubstr("does not turn"))) << limit;
        EXPECT_THAT(service.err(), Not(HasSubstr("still running"))) << limit;
        EXPECT_FALSE(std::filesystem::exists(service.directory() / "ready.json"));
    }
}

TEST(Start, WithoutDescriptorsItIsOneLine) {
    if (support::slow_build) GTEST_SKIP() << "a sanitizer opens files of its own";
    service service(limited("-n 3", {}));
    EXPECT_EQ(service.exit_code(), 1) << service.err();
    EXPECT_TRUE(service.logs("cannot start")) << service.err();
}

TEST(SpoolDump, IsEndedByASignalLikeOtherPrograms) {
    const support::temporary_directory root;
    const auto sink = root.path() / "events.jsonl", out = root.path() / "out";
    {
        service service({"--tracker.directory=" + root.path().string()});
        std::filesystem::remove(sink);
        std::filesystem::create_directories(sink);  // where the file should be: nothing is delivered
        ASSERT_EQ(service.ask(post("large", std::string(500'000, 'x'))).status, 201);
        service.process().signal(SIGKILL);
        EXPECT_EQ(service.exit_code(), -1);
    }
    ASSERT_EQ(::mkfifo(out.c_str(), 0600), 0);
    const int reader = ::open(out.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);  // which reads nothing
    ASSERT_GE(reader, 0);
    service dump({.flags = {"--spool-dump=" + root.path().string()},
                  .wait_until_ready = false,
                  .starter = {"/bin/sh", "-c", "exec \"$0\" \"$@\" > '" + out.string() + "'"}});
    int waiting = 0;
    ASSERT_TRUE(eventually([&] { return ::ioctl(reader, FIONREAD, &waiting) == 0 && waiting >= 4'096; }))
        << "it writes: " << dump.err();
    dump.process().signal(SIGTERM);
    EXPECT_EQ(dump.exit_code(), -1) << "by the signal";
    ::close(reader);
}

}  // namespace
}  // namespace integration
