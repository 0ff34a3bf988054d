#include "server/cors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/server/run_handler.hpp"
#include "tests/server/serving.hpp"

namespace {

namespace http = server::http;
using server::request;
using server::response;
using testing::HasSubstr;
using testing::Not;

server::cors_options for_the_shop() {
    server::cors_options options;
    options.origins = {"https://shop.example", "https://shop.example:8443"};
    options.exposed = {"X-Request-Id"};
    options.max_age = std::chrono::seconds(60);
    return options;
}

/// The fields of the answer to GET.
std::string fields(const server::cors_options& options, std::string_view origin) {
    const auto wrapped = server::cors(options)([](const lifecycle::context&, const request&) { return response(); });
    request asked;
    asked.method = http::verb::get;
    if (!origin.empty()) asked.fields.push_back({http::field::origin, "Origin", origin});
    return std::string(run_handler(wrapped, asked).fields());
}

TEST(Cors, AListedOriginMayReadTheAnswer) {
    EXPECT_EQ(fields(for_the_shop(), "https://shop.example:8443"),
              "Vary: Origin\r\nAccess-Control-Allow-Origin: https://shop.example:8443\r\n"
              "Access-Control-Expose-Headers: X-Request-Id\r\n");
}

TEST(Cors, NoOtherMayAndACacheIsToldThatItDepends) {
    for (const auto* origin : {"", "null", "http://shop.example", "https://shop.example.evil.example",
                               "https://evil.example", "https://shop.example/", "https://SHOP.example", "shop.example"})
        EXPECT_EQ(fields(for_the_shop(), origin), "Vary: Origin\r\n") << origin;
}

TEST(Cors, AStarIsForAllAndDependsOnNothing) {
    server::cors_options all;
    all.origins = {"*"};
    EXPECT_EQ(fields(all, "https://evil.example"), "Access-Control-Allow-Origin: *\r\n");
    EXPECT_EQ(fields(all, ""), "");
    all.credentials = true;
    EXPECT_THROW(server::cors(all), std::invalid_argument);
}

TEST(Cors, CredentialsAreForListedOrigins) {
    auto with = for_the_shop();
    with.credentials = true;
    EXPECT_THAT(fields(with, "https://shop.example"), HasSubstr("Access-Control-Allow-Credentials: true\r\n"));
    EXPECT_THAT(fields(with, "https://evil.example"), Not(HasSubstr("Credentials")));
}

TEST(Cors, AHandlerThatWaitsIsWrappedAsWell) {
    const auto wrapped = server::cors(for_the_shop())(
        [](lifecycle::context, const request&) -> lifecycle::awaitable<response> { co_return response(); });
    request asked;
    asked.fields.push_back({http::field::origin, "Origin", "https://shop.example"});
    EXPECT_TRUE(run_handler(wrapped, asked).has("Access-Control-Allow-Origin"));
}

// On a server, since the router has to hand over what it answers itself.

server::router shop_routes() {
    server::router routes;
    routes.get("/bare", serving::says("bare"));
    routes.group("/shop", [](server::router& shop) {
        shop.use(server::cors(for_the_shop()));
        shop.put("/orders/{id}", serving::says("put"));
    });
    return routes;
}

std::string preflight(std::string_view path, std::string_view origin) {
    return "OPTIONS " + std::string(path) + " HTTP/1.1\r\nHost: a\r\nOrigin: " + std::string(origin) +
           "\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: content-type\r\n\r\n";
}

TEST(Cors, WhatABrowserAsksFirstIsAnswered) {
    const serving::running app(shop_routes());
    const auto answer = app.ask(preflight("/shop/orders/7", "https://shop.example"));
    EXPECT_EQ(answer.status, 204);
    EXPECT_EQ(answer.header("Access-Control-Allow-Origin"), "https://shop.example");
    EXPECT_EQ(answer.header("Access-Control-Allow-Methods"), "GET, HEAD, POST, PUT, PATCH, DELETE");
    EXPECT_EQ(answer.header("Access-Control-Allow-Headers"), "Content-Type");
    EXPECT_EQ(answer.header("Access-Control-Max-Age"), "60");
    EXPECT_EQ(answer.header("Vary"), "Origin");
    EXPECT_EQ(answer.header("Access-Control-Expose-Headers"), "");
    for (const auto& asked :
         {preflight("/shop/orders/7", "https://evil.example"), preflight("/bare", "https://shop.example")})
        EXPECT_EQ(app.ask(asked).header("Access-Control-Allow-Origin"), "") << asked;
}

TEST(Cors, AnOptionsThatIsNoPreflightSaysWhatThePathAllows) {
    const serving::running app(shop_routes());
    const auto answer = app.ask("OPTIONS /shop/orders/7 HTTP/1.1\r\nHost: a\r\nOrigin: https://shop.example\r\n\r\n");
    EXPECT_EQ(answer.header("Allow"), "PUT, OPTIONS");
    EXPECT_EQ(answer.header("Access-Control-Allow-Origin"), "https://shop.example");
}

TEST(Cors, APageMayReadThatAMethodIsNotAllowed) {
    const serving::running app(shop_routes());
    const auto answer = app.ask("GET /shop/orders/7 HTTP/1.1\r\nHost: a\r\nOrigin: https://shop.example\r\n\r\n");
    EXPECT_EQ(answer.status, 405);
    EXPECT_EQ(answer.header("Access-Control-Allow-Origin"), "https://shop.example");
}

}  // namespace
