// What becomes of clients in the accept queue when the stop comes, and the loop of the listener stands still.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/integration/service.hpp"

namespace integration {
namespace {

TEST(AcceptQueue, IsLetInAndServedThoughTheListenersLoopIsLateAndTheOthersHaveDrained) {
    service service({"--app.threads=2", "--shutdown.budget=20s", "--shutdown.idle_grace=100ms"});
    auto spinning = service.connect();
    spinning.send(get("/spin?ms=2000"));
    ASSERT_TRUE(eventually([&] {
        return service.ask_debug(get("/debug/loops")).body.find("wedged") != std::string::npos;
    })) << "it is held up for longer than the others wait for it";
    std::vector<client> queued;
    for (int nth = 0; nth < 20; ++nth) {
        queued.push_back(service.connect());
        queued.back().send(post("queued-" + std::to_string(nth)));
    }
    service.process().signal(SIGTERM);
    for (auto& each : queued) {
        const auto answer = each.receive();
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 201);
    }
    EXPECT_TRUE(spinning.receive());
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_EQ(number(service.report(), "events", "delivered"), 20);
}

}  // namespace
}  // namespace integration
