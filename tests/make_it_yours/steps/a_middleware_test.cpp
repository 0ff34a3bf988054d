#include <gmock/gmock.h>

#include "tests/integration/service.hpp"

namespace {

TEST(AMiddleware, WrapsPlainHandlersAndThoseThatWait) {
    const integration::service running;
    for (const auto* path : {"/greet/Ada", "/greet-later/Ada"})
        EXPECT_THAT(std::string(running.ask(integration::get(path)).header("Server-Timing")),
                    testing::StartsWith("handler;dur="));
}

}  // namespace
