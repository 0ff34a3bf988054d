// What the service cannot do without is not there; and mistakes in the wiring of the parts. The real process.
#include <gtest/gtest.h>

#include "tests/integration/service.hpp"

namespace integration {
namespace {

using std::chrono::milliseconds;

service started_with(const char* what) {
    return service(
        {.flags = {"--shutdown.budget=2s", "--shutdown.idle_grace=100ms", "--shutdown.flush=500ms", "--app.threads=1"},
         .environment = {std::string("OBSTINATE=") + what},
         .wait_until_ready = false});
}

void expect_failed_start(service& service) {
    EXPECT_EQ(service.exit_code(), 1) << service.err();
    EXPECT_EQ(service.err().find(" ready: app on "), std::string::npos) << service.err();
    EXPECT_FALSE(std::filesystem::exists(service.directory() / "ready.json"));
}

TEST(Dependency, ThatCannotBeOpenedIsAFailedStartAndNeverReadiness) {
    for (int start = 0; start < 40; ++start) {
        auto service = started_with("dependency");
        expect_failed_start(service);
        EXPECT_TRUE(service.logs("database failed: no database at 192.0.2.1")) << service.err();
        if (HasFailure()) break;
    }
}

TEST(Dependency, ThatEndsBeforeItIsUpIsAFailedStart) {
    auto service = started_with("dependency-ends");
    expect_failed_start(service);
    EXPECT_TRUE(service.logs("database has ended before the service was ready")) << service.err();
}

TEST(Dependency, ThatIsNotUpInTimeIsAFailedStart) {
    auto service = started_with("dependency-hangs");
    expect_failed_start(service);
    EXPECT_TRUE(service.logs("database is not up in time: the service cannot start")) << service.err();
}

/// A debug build ends by SIGABRT.
void expect_mistake(const char* what, const char* line) {
    auto service = started_with(what);
    const int code = service.exit_code();
    if (code == -1) {
        EXPECT_TRUE(service.logs("lifecycle: ")) << service.err();
        return;
    }
    expect_failed_start(service);
    EXPECT_TRUE(service.logs(line)) << service.err();
}

TEST(Mistake, APartThatIsNeverRunOrRunTwiceIsAFailedStart) {
    expect_mistake("never-run", "forgotten is never run: the service cannot start");
    expect_mistake("run-twice", "tracker is run twice: the service cannot start");
}

}  // namespace
}  // namespace integration
