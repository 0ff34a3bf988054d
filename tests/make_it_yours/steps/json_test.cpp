#include <gmock/gmock.h>

#include "tests/integration/service.hpp"

namespace {

using integration::service;

std::string put(const char* path, const char* body) {
    return integration::request("PUT", path, "Content-Type: application/json\r\n", body);
}

TEST(Json, IsReadAndWrittenAndAFaultHasItsPlace) {
    const service running;
    EXPECT_EQ(running.ask(put("/orders/7", R"({"item":"nut","quantity":2})")).status, 200);
    EXPECT_EQ(running.ask(put("/orders/seven", R"({"item":"nut","quantity":2})")).status, 404);
    const auto refused = running.ask(put("/orders/7", R"({"item":"nut","quantity":1000})"));
    EXPECT_EQ(refused.status, 422);
    EXPECT_EQ(refused.header("Content-Type"), "application/problem+json");
    EXPECT_THAT(refused.body, testing::HasSubstr(R"("pointer":"/quantity")"));
}

}  // namespace
