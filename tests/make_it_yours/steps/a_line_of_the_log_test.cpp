#include <gmock/gmock.h>

#include "tests/integration/service.hpp"

namespace {

TEST(ALineOfTheLog, HasFieldsAndTheIdOfTheRequest) {
    const integration::service running({"--log.format=json"});
    EXPECT_EQ(running.ask(integration::request("POST", "/visits/Ada", "X-Request-Id: mine\r\n", "hello")).status, 204);
    EXPECT_TRUE(running.logs(R"("message":"Ada leaves 5 bytes","name":"Ada","bytes":5,"request_id":"mine")"))
        << running.err();
}

}  // namespace
