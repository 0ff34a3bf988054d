#include <gmock/gmock.h>

#include "tests/integration/service.hpp"

namespace {

using integration::service;

std::string put(const std::string& fields) {
    return integration::request("PUT", "/api/orders/7", "Content-Type: application/json\r\n" + fields,
                                R"({"item":"nut","quantity":2})");
}

TEST(AGroup, IsForWhoHasAKeyAndForThePagesOfOneOrigin) {
    const service running;
    EXPECT_EQ(running.ask(put("Authorization: Bearer key\r\n")).status, 200);
    const auto without = running.ask(put("Origin: https://shop.example\r\n"));
    EXPECT_EQ(without.status, 401);
    EXPECT_EQ(without.header("Access-Control-Allow-Origin"), "https://shop.example");
}

TEST(AGroup, HasItsKeyFromASetting) {
    const service running(
        {"--api.key_digest=a9f51566bd6705f7ea6ad54bb9deb449f795582d6529a0e22207b8981233ec58"});  // "OK"
    EXPECT_EQ(running.ask(put("Authorization: Bearer key\r\n")).status, 401);
}

}  // namespace
