// Secrets on the real binary: files that cannot be used, and no output that shows one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>

#include "tests/integration/service.hpp"

namespace integration {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string by_file = "--tracker.http_authorization_file=";

TEST(Secrets, AFileThatCannotBeUsedIsOneLineAndExitCode1) {
    const support::temporary_directory root;
    const auto pipe = (root.path() / "pipe").string();
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    const std::vector<std::pair<std::string, std::string>> trials = {
        {"missing", "No such file"}, {".", "is a directory"}, {pipe, "is a FIFO"},         {"empty", "is empty"},
        {"two", "more than one"},    {"nul", "holds a NUL"},  {"large", "more than 64KiB"}};
    for (const auto& [path, why] : trials) {
        const auto result = run_to_end({"--app.port=0", "--debug.port=0", by_file + path}, {},
                                       {{"empty", "\n"},
                                        {"two", "hunter2\nhunter2\n"},
                                        {"nul", std::string("hunter2\0", 8)},
                                        {"large", std::string(70'000, 'x')}});
        EXPECT_EQ(result.code, 1) << path;
        EXPECT_EQ(result.err_lines, 1U) << result.err;
        EXPECT_THAT(result.err,
                    AllOf(HasSubstr("tracker.http_authorization_file = \"" + path + "\" (" +
                                    by_file.substr(0, by_file.size() - 1) + ")"),
                          HasSubstr(why), HasSubstr("allowed is a path of a file"), Not(HasSubstr("hunter2"))));
    }
}

TEST(Secrets, CheckConfigShowsWhereTheyComeFromAndNotWhatTheyAre) {
    const std::vector<std::pair<std::string, std::string>> files = {{"token", "Bearer hunter2\n"},
                                                                    {"url", "http://u:hunter2@a/p?hunter2\n"}};
    const auto result = run_to_end({"--check-config", by_file + "token"}, {"SERVICE_TRACKER_HTTP_URL_FILE=url"}, files);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_THAT(result.out,
                AllOf(HasSubstr("tracker.http_authorization = \"***\"  # --tracker.http_authorization_file: token\n"),
                      HasSubstr("tracker.http_authorization_file = \"token\"  # --tracker.http_authorization_file\n"),
                      HasSubstr("tracker.http_url = \"http://***@a/p?***\"  # SERVICE_TRACKER_HTTP_URL_FILE: url\n"),
                      Not(HasSubstr("hunter2"))));
    EXPECT_THAT(result.err, Not(HasSubstr("hunter2")));
    EXPECT_THAT(run_to_end({"--help"}).out, HasSubstr("--tracker.http_authorization_file"));
}

TEST(Secrets, AFaultOfTheirsShowsNothingOfThem) {
    const std::vector<std::pair<std::vector<std::string>, std::string>> trials = {
        {{"--tracker.http_authorization=hunter2\n"}, "tracker.http_authorization = *** ("},
        {{"--tracker.http_url=http://u:hunter2@a\n/?hunter2"}, R"(tracker.http_url = "http://***@a\u000a/?***" ()"},
        {{"--tracker.http_authorization=Bearer", "hunter2"}, R"("***": no such argument)"},
        {{"--tracker.http_autorization=hunter2"}, "--tracker.http_autorization: no such flag"},
        {{"--tracker.http_authorization=hunter2", by_file + "token"},
         "are the same setting: allowed is one of the two"}};
    for (const auto& [wrong, line] : trials) {
        const auto result = run_to_end(wrong, {}, {{"token", "hunter2\n"}});
        EXPECT_EQ(result.code, 1) << result.err;
        EXPECT_THAT(result.err, AllOf(HasSubstr(line), Not(HasSubstr("hunter2"))));
    }
}

TEST(Secrets, NothingThatTheServiceSaysHasThem) {
    const std::string url = "http://user:hunter2@a/p?token=hunter2#hunter2";
    service service(
        {.flags = {"--tracker.http_authorization=Bearer hunter2", "--tracker.http_url=" + url, "--log.level=trace",
                   "--log.access=true", "--config=settings.toml"},
         .environment = {"SERVICE_TRACKER_HTTP_AUTHORIZATION=Basic hunter2"},
         .starter = {"/bin/sh", "-c",
                     "printf '[tracker]\\nhttp_authorization = \"hunter2\"\\n' >settings.toml; exec \"$0\" \"$@\""}});
    for (const char* path : {"/debug/", "/debug/config", "/debug/vars", "/debug/tasks", "/debug/build", "/debug/log",
                             "/debug/shutdown", "/debug/requests", "/debug/connections", "/debug/pprof/cmdline",
                             "/debug/pprof/goroutine?debug=2", "/metrics"})
        EXPECT_THAT(service.ask_debug(get(path)).body, Not(HasSubstr("hunter2"))) << path;
    const auto shown = service.ask_debug(get("/debug/config")).body;
    EXPECT_THAT(shown, AllOf(HasSubstr(R"("key":"tracker.http_authorization","value":"***","place":"--tracker.)"),
                             HasSubstr(R"("key":"tracker.http_url","value":"http://***@a/p?***")")));
    support::write_file(service.directory() / "settings.toml", "[tracker]\nhttp_authorization = \"hunter2\"\nx = 1\n");
    EXPECT_EQ(service.ask_debug(request("POST", "/debug/config/reload")).status, 422);
    service.begin_stop(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_THAT(service.err() + boost::json::serialize(service.report()), Not(HasSubstr("hunter2")));
}

}  // namespace
}  // namespace integration
