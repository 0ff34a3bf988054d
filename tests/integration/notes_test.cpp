// ready_file and shutdown.report: when they are there, and what is never replaced by them.

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <csignal>

#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"

namespace integration {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

service::options without_wait(std::vector<std::string> flags) {
    return {.flags = std::move(flags), .wait_until_ready = false};
}

bool is_ready(service& service) {
    return eventually([&] { return service.err().find(" ready: app on") != std::string::npos; }) &&
           !service.process().ended();
}

TEST(ReadyFile, IsGoneFromTheFirstMomentOfAStop) {
    service service({"--shutdown.lame_duck=20s", "--shutdown.budget=60s"});
    const auto file = service.directory() / "ready.json";
    EXPECT_TRUE(fs::exists(file));
    service.begin_stop(SIGTERM);
    EXPECT_TRUE(eventually([&] { return !fs::exists(file); })) << "in the lame duck";
    service.signal_again(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_FALSE(fs::exists(file));
}

TEST(ReadyFile, IsThereAgainWhenTheStopIsWithdrawn) {
    service service({"--shutdown.lame_duck=20s", "--shutdown.budget=60s"});
    const auto file = service.directory() / "ready.json";
    const auto before = support::read_file(file);
    EXPECT_EQ(service.ask_debug(request("POST", "/debug/shutdown")).status, 202);
    EXPECT_TRUE(eventually([&] { return !fs::exists(file); }));
    EXPECT_EQ(service.ask_debug(request("DELETE", "/debug/shutdown")).status / 100, 2);
    EXPECT_TRUE(eventually([&] { return support::read_file(file) == before; }));
}

TEST(ReadyFile, OfAnotherRunIsGoneBeforeAStartThatFindsItsPortTaken) {
    const service first;
    const support::temporary_directory directory;
    const auto stale = directory.path() / "ready.json";
    support::write_file(stale, "{\"pid\":1}\n");
    service second(without_wait({fmt::format("--app.port={}", first.app().port), "--ready_file=" + stale.string()}));
    EXPECT_EQ(second.exit_code(), 1) << second.err();
    EXPECT_FALSE(fs::exists(stale));
}

TEST(ReadyFile, OfAGenerationThatFollowsStays) {
    const support::temporary_directory directory;
    const auto file = directory.path() / "ready.json";
    service first(without_wait({"--ready_file=" + file.string()}));
    ASSERT_TRUE(eventually([&] { return !support::read_file(file).empty(); }));
    service second(without_wait({"--ready_file=" + file.string()}));
    const auto its = fmt::format("\"pid\":{}", second.process().pid());
    ASSERT_TRUE(eventually([&] { return support::read_file(file).find(its) != std::string::npos; }));
    first.process().signal(SIGTERM);
    EXPECT_EQ(first.exit_code(), 0);
    EXPECT_THAT(support::read_file(file), HasSubstr(its));
    second.process().signal(SIGTERM);
    EXPECT_EQ(second.exit_code(), 0);
    EXPECT_FALSE(fs::exists(file));
}

TEST(Notes, ADeviceIsWrittenIntoAndStaysOne) {
    const support::temporary_directory directory;
    const auto device = (directory.path() / "device").string();
    if (::mknod(device.c_str(), S_IFCHR | 0600, ::makedev(1, 3)) != 0) GTEST_SKIP() << "no device can be made here";
    service service(without_wait({"--ready_file=" + device, "--shutdown.report=" + device}));
    ASSERT_TRUE(is_ready(service));
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    struct stat found {};
    ASSERT_EQ(::lstat(device.c_str(), &found), 0);
    EXPECT_TRUE(S_ISCHR(found.st_mode));
    EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), fs::directory_iterator()), 1);
    EXPECT_EQ(service.err().find("ready_file:"), std::string::npos) << service.err();
}

TEST(Notes, StdoutIsWrittenIntoWhateverItIs) {
    const support::temporary_directory directory;
    const auto link = (directory.path() / "stdout").string();  // as /dev/stdout
    fs::create_symlink("/proc/self/fd/1", link);
    service service(without_wait({"--ready_file=" + link, "--shutdown.report=" + link, "--tracker.sink=stdout"}));
    ASSERT_TRUE(eventually([&] { return service.process().out().find("\"pid\"") != std::string::npos; }));
    const auto ready = boost::json::parse(service.process().out()).as_object();
    support::client client(support::endpoint(std::string(ready.at("app").as_string())));
    client.send(post("one"));
    const auto answer = client.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 201);
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    const auto out = service.process().out();
    EXPECT_THAT(out, testing::StartsWith("{\"pid\""));
    EXPECT_THAT(out, HasSubstr("\n{\"id\":\"one\""));
    EXPECT_THAT(out, HasSubstr("\n{\"cause\":\"SIGTERM\",\"exit_code\":0"));
    EXPECT_TRUE(fs::is_symlink(link));
}

TEST(Notes, APipeThatNobodyReadsHoldsNobody) {
    const support::temporary_directory directory;
    const auto pipe = (directory.path() / "pipe").string();
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    service service(without_wait({"--ready_file=" + pipe, "--shutdown.report=" + pipe}));
    ASSERT_TRUE(is_ready(service));
    EXPECT_TRUE(service.logs("ready_file: cannot open " + pipe)) << service.err();  // once a stop begins it has no use
    const auto when = service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_TRUE(support::in_time(service.lasted(when), milliseconds(5'000)));
    EXPECT_TRUE(service.logs("shutdown.report: cannot open " + pipe)) << service.err();
    EXPECT_TRUE(fs::is_fifo(pipe));
}

TEST(Notes, APipeGetsBothWhereSomebodyReads) {
    const support::temporary_directory directory;
    const auto pipe = (directory.path() / "pipe").string();
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    service service(without_wait({"--ready_file=" + pipe, "--shutdown.report=" + pipe}));
    int written = 0;  // besides the line of the log
    ASSERT_TRUE(eventually([&] { return ::ioctl(reader, FIONREAD, &written) == 0 && written > 0; }));
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    std::string text(16'384, '\0');
    const auto count = ::read(reader, text.data(), text.size());
    ::close(reader);
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    EXPECT_THAT(text, testing::StartsWith("{\"pid\""));
    EXPECT_THAT(text, HasSubstr("\n{\"cause\":\"SIGTERM\""));
}

/// Which of 0 to 2 are /dev/null in that process, as "012".
std::string nulls_of(pid_t process) {
    std::string all;
    for (const char* letter : {"0", "1", "2"}) {
        std::error_code gone;
        if (fs::read_symlink(fmt::format("/proc/{}/fd/{}", process, letter), gone) == "/dev/null") all += letter;
    }
    return all;
}

const std::vector<std::string> by_a_shell_that_closes_them = {"/bin/bash", "-c", R"(exec "$0" "$@" 0<&- 1>&- 2>&-)"};

TEST(Descriptors, ThatAreClosedAtTheStartAreDevNullAndNeverAFileOfOurs) {
    const support::temporary_directory directory;
    const auto ready = directory.path() / "ready.json";
    service service({.flags = {"--ready_file=" + ready.string()},
                     .wait_until_ready = false,
                     .starter = by_a_shell_that_closes_them});
    ASSERT_TRUE(eventually([&] { return !support::read_file(ready).empty(); }));
    EXPECT_EQ(nulls_of(service.process().pid()), "012");
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    for (const auto& file : fs::recursive_directory_iterator(service.directory())) {
        const auto text = file.is_regular_file() ? support::read_file(file.path()) : std::string();
        EXPECT_EQ(text.find("ready: app on"), std::string::npos) << file.path();
    }
}

TEST(Descriptors, ThatAreClosedAreHeldForEveryOtherCommandToo) {
    const support::temporary_directory directory;
    const auto settings = (directory.path() / "settings.toml").string();
    ASSERT_EQ(::mkfifo(settings.c_str(), 0600), 0);  // so that there is time to look
    service check({.flags = {"--check-config", "--config=" + settings},
                   .wait_until_ready = false,
                   .starter = by_a_shell_that_closes_them});
    EXPECT_TRUE(eventually([&] { return nulls_of(check.process().pid()) == "012"; }));
    int writer = -1;
    ASSERT_TRUE(eventually([&] {
        writer = ::open(settings.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        return writer >= 0;
    }));
    ::close(writer);
    EXPECT_EQ(check.exit_code(), 0);
}

}  // namespace
}  // namespace integration
