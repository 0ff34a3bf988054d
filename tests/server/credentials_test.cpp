#include "server/credentials.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/server/run_handler.hpp"
#include "tests/server/serving.hpp"

namespace {

namespace http = server::http;
using server::request;
using server::response;

// printf %s KEY | sha256sum
const std::vector<std::string> digests{"2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683",   // key
                                       "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"};  // abc

using fields = std::vector<std::pair<std::string_view, std::string_view>>;

response asked(const server::middleware& guard, const fields& with) {
    const auto guarded = guard([](const lifecycle::context&, const request&) { return response(); });
    request made;
    for (const auto& [name, value] : with)
        made.fields.push_back({boost::beast::http::string_to_field({name.data(), name.size()}), name, value});
    return run_handler(guarded, made);
}

TEST(RequireBearer, WhoHasOneOfTheKeysMayPass) {
    const auto guard = server::require_bearer(digests);
    for (const auto* value : {"Bearer key", "bearer abc", "BEARER   key"})
        EXPECT_EQ(asked(guard, {{"Authorization", value}}).status, http::status::ok) << value;
}

TEST(RequireBearer, OthersAreToldWhatIsMissing) {
    const auto guard = server::require_bearer(digests);
    for (const auto* value : {"", "key", "Basic key", "Bearer", "Bearer ", "Bearerkey"}) {
        const auto answer = asked(guard, {{"Authorization", value}});
        EXPECT_EQ(answer.status, http::status::unauthorized) << value;
        EXPECT_EQ(answer.fields(), "WWW-Authenticate: Bearer\r\n") << value;
    }
    EXPECT_EQ(asked(guard, {}).status, http::status::unauthorized);
    for (const auto* value : {"Bearer kez", "Bearer key ", "Bearer Key", "Bearer ke", "Bearer keyy", "Bearer key,abc"})
        EXPECT_EQ(asked(guard, {{"Authorization", value}}).fields(),
                  "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n")
            << value;
}

TEST(RequireApiKey, TheKeyComesInTheFieldThatWasNamed) {
    const auto guard = server::require_api_key("X-Api-Key", digests);
    EXPECT_EQ(asked(guard, {{"x-api-key", "key"}}).status, http::status::ok);
    for (const auto& with : {fields{}, fields{{"X-Api-Key", ""}}, fields{{"X-Api-Key", "no"}},
                             fields{{"Api-Key", "key"}}, fields{{"Authorization", "Bearer key"}}}) {
        const auto answer = asked(guard, with);
        EXPECT_EQ(answer.status, http::status::unauthorized);
        EXPECT_EQ(answer.fields(), "WWW-Authenticate: ApiKey field=\"X-Api-Key\"\r\n");
    }
}

TEST(RequireApiKey, OfTwoFieldsNoneIsTaken) {
    const auto guard = server::require_api_key("X-Api-Key", digests);
    EXPECT_EQ(asked(guard, {{"X-Api-Key", "key"}, {"x-api-key", "other"}}).status, http::status::unauthorized);
    EXPECT_EQ(asked(server::require_bearer(digests), {{"Authorization", "Bearer key"}, {"Authorization", "Bearer key"}})
                  .status,
              http::status::unauthorized);
}

TEST(RequireApiKey, NobodyPassesWhereNoKeyIsKnownAndAnEmptyOneNowhere) {
    EXPECT_EQ(asked(server::require_api_key("K", {}), {{"K", "key"}}).status, http::status::unauthorized);
    const std::string of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    EXPECT_EQ(asked(server::require_api_key("K", {of_nothing}), {{"K", ""}}).status, http::status::unauthorized);
}

TEST(RequireApiKey, WhatIsNoDigestEndsTheStart) {
    for (const auto& no :
         {std::string("key"), std::string(), std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'g')})
        EXPECT_THROW(server::require_bearer({no}), std::invalid_argument) << no;
}

TEST(RequireApiKey, AlsoGuardsWhatTheRouterSaysOfItsPaths) {
    server::router routes;
    routes.probe("/livez", serving::says("ok"));
    routes.use(server::require_api_key("K", digests)).get("/orders", serving::says("orders"));
    const serving::running app(std::move(routes));
    const auto status = [&app](std::string_view method, std::string_view path, std::string_view more = {}) {
        return app
            .ask(std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n" + std::string(more) +
                 "\r\n")
            .status;
    };
    EXPECT_EQ(status("GET", "/livez"), 200);
    for (const auto* path : {"/orders", "/nothing"})
        for (const auto* method : {"GET", "DELETE"}) EXPECT_EQ(status(method, path), 401) << method << path;
    EXPECT_EQ(status("GET", "/orders", "K: key\r\n"), 200);
    EXPECT_EQ(status("DELETE", "/orders", "K: key\r\n"), 405);
    EXPECT_EQ(status("GET", "/nothing", "K: key\r\n"), 404);
}

TEST(SameInConstantTime, IsWhetherAllOfThemIsTheSame) {
    using server::same_in_constant_time;
    EXPECT_TRUE(same_in_constant_time("", ""));
    EXPECT_TRUE(same_in_constant_time("abc", "abc"));
    for (const auto* other : {"", "ab", "abcd", "bbc", "acc", "abd", "ab\xe3"})
        EXPECT_FALSE(same_in_constant_time("abc", other));
}

}  // namespace
