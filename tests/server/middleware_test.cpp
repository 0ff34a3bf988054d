#include "server/middleware.hpp"

#include <gtest/gtest.h>

#include "tests/server/run_handler.hpp"

namespace {

namespace http = server::http;
using server::request;
using server::response;

/// What `same_site_only` makes of a request; the handler after it says 200.
http::status passes(http::verb method, std::string_view host, std::string_view origin = {},
                    std::string_view scheme = "http") {
    const auto guarded = server::same_site_only({"debug.example", "[v1.x]"})(
        [](lifecycle::context, const request&) -> lifecycle::awaitable<response> { co_return response(); });
    request made;
    made.method = method;
    made.host = host;
    made.scheme = scheme;
    if (!origin.empty()) made.fields.push_back({http::field::origin, "Origin", origin});
    return run_handler(guarded, made).status;
}

TEST(SameSiteOnly, ReadingIsForAll) {
    for (const auto method : {http::verb::get, http::verb::head, http::verb::options})
        EXPECT_EQ(passes(method, "evil.example", "http://evil.example"), http::status::ok);
}

TEST(SameSiteOnly, AChangeNeedsAHostThatNoNameServerCanGiveAway) {
    for (const auto* host : {"127.0.0.1", "127.0.0.1:8001", "10.1.2.3", "[::1]", "[::1]:8001", "localhost",
                             "LocalHost:8001", "debug.example", "DEBUG.example:8001"})
        EXPECT_EQ(passes(http::verb::post, host), http::status::ok) << host;
    for (const auto* host :
         {"", "evil.example", "evil.example:8001", "localhost.evil.example", "127.0.0.1.evil.example", "127.1",
          "2130706433", "0x7f000001", "xdebug.example", "[::1", "::1", "[]", "[evil]", "localhost@evil.example"})
        EXPECT_EQ(passes(http::verb::post, host), http::status::forbidden) << host;
}

TEST(SameSiteOnly, EveryMethodThatIsNotReadingIsAChange) {
    for (const auto method : {http::verb::post, http::verb::put, http::verb::delete_, http::verb::patch})
        EXPECT_EQ(passes(method, "evil.example"), http::status::forbidden);
}

TEST(SameSiteOnly, AnOriginMustBeTheSameHostAndPort) {
    EXPECT_EQ(passes(http::verb::post, "127.0.0.1:8001", "http://127.0.0.1:8001"), http::status::ok);
    EXPECT_EQ(passes(http::verb::post, "localhost:8001", "http://LOCALHOST:8001"), http::status::ok);
    for (const auto* origin :
         {"http://127.0.0.1", "http://127.0.0.1:8002", "https://127.0.0.1:8002", "https://127.0.0.1", "null",
          "127.0.0.1:8001", "http://evil.example", "https://evil.example", "http://127.0.0.1:8001/",
          "http://127.0.0.1:8001.evil.example", "ftp://127.0.0.1:8001"})
        for (const auto* scheme : {"http", "https"})
            EXPECT_EQ(passes(http::verb::post, "127.0.0.1:8001", origin, scheme), http::status::forbidden) << origin;
}

TEST(SameSiteOnly, APageThatCameOverTlsIsOfItsHostWhateverEndedTheTls) {
    for (const auto* scheme : {"http", "https"})
        EXPECT_EQ(passes(http::verb::post, "127.0.0.1:8001", "https://127.0.0.1:8001", scheme), http::status::ok);
    EXPECT_EQ(passes(http::verb::post, "127.0.0.1:8001", "http://127.0.0.1:8001", "https"), http::status::forbidden)
        << "who sits between can make a page in clear";
}

TEST(StrictTransport, EachAnswerSaysForHowLongHttpsAloneIsToBeAsked) {
    const auto wrapped = server::strict_transport(std::chrono::hours(1));
    const server::handler waits =
        wrapped([](lifecycle::context, const request&) -> lifecycle::awaitable<response> { co_return response(); });
    const server::handler plain = wrapped([](const lifecycle::context&, const request&) { return response(); });
    EXPECT_NE(plain.as_plain(), nullptr) << "a plain handler stays one";
    request made;
    made.scheme = "https";
    for (const auto& each : {waits, plain}) EXPECT_TRUE(run_handler(each, made).has("Strict-Transport-Security"));
    made.scheme = "http";  // RFC 6797 section 7.2
    for (const auto& each : {waits, plain}) EXPECT_FALSE(run_handler(each, made).has("Strict-Transport-Security"));
}

}  // namespace
