// What becomes of the service when a thread ends that should not.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/service.hpp"

namespace integration {
namespace {

using testing::HasSubstr;

TEST(Death, OfALoopBeginsTheStopAtOnceWithOneLineAndEndsWithCode2) {
    service service({"--app.threads=2", "--shutdown.budget=10s", "--shutdown.lame_duck=1s"});
    auto breaking = service.connect();
    breaking.send(get("/break"));
    ASSERT_TRUE(eventually([&] { return service.readiness_is(503); }));
    EXPECT_EQ(service.ask_debug(get("/livez")).status, 503);
    EXPECT_EQ(service.exit_code(), 2) << service.err();
    EXPECT_THAT(service.err(),
                testing::ContainsRegex("error +app-[12] has failed, the service stops: out of the loop\n"));
    EXPECT_TRUE(service.logs("stop begun by part:app-")) << service.err();
    EXPECT_EQ(faults(service.report()), "");
}

TEST(Death, OfALoopClosesItsConnectionsAndTheOthersAnswerTheirs) {
    service service({"--app.threads=2", "--shutdown.budget=10s", "--shutdown.lame_duck=500ms"});
    std::vector<client> all;
    for (int nth = 0; nth < 8; ++nth) {
        all.push_back(service.connect());
        ASSERT_TRUE(all.back().exchange(get("/")));
    }
    all.front().send(get("/break"));
    ASSERT_TRUE(eventually([&] { return service.readiness_is(503); }));
    int ended = 0;
    for (auto& each : all) {
        each.receive_to_end();
        ended += each.ended() == client::ending::closed || each.ended() == client::ending::reset ? 1 : 0;
    }
    EXPECT_EQ(ended, 8) << "nobody is left without an end";
    EXPECT_EQ(service.exit_code(), 2) << service.err();
}

}  // namespace
}  // namespace integration
