#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/system/errc.hpp>
#include <stdexcept>

#include "server/client/upstream.hpp"

namespace {

using server::allow_list;
using testing::HasSubstr;
namespace errc = boost::system::errc;

/// "AUTHORITY PATH", or what is wrong.
std::string look_up(const allow_list& allowed, std::string_view url) {
    const auto found = allowed.find(url);
    if (found) return found->server()->authority + ' ' + found->path();
    return found.error() == errc::permission_denied ? "not allowed" : "no url";
}

TEST(AllowList, FindsWhomItNamesWithPathAndQuery) {
    const allow_list allowed("http://shop,http://Stock:8080,http://[::1]:81", {});
    EXPECT_EQ(look_up(allowed, "http://shop/a/b?c=d&e=%20"), "shop /a/b?c=d&e=%20");
    EXPECT_EQ(look_up(allowed, "http://shop:80"), "shop /");
    EXPECT_EQ(look_up(allowed, "http://shop:?x"), "shop /?x");
    EXPECT_EQ(look_up(allowed, "HTTP://stock:8080/"), "Stock:8080 /");
    EXPECT_EQ(look_up(allowed, "http://[::1]:81/x"), "[::1]:81 /x");
    EXPECT_EQ(allowed.upstreams()[2]->host, "::1");
}

TEST(AllowList, AnEmptyOneAllowsNobody) { EXPECT_EQ(look_up(allow_list("", {}), "http://127.0.0.1/"), "not allowed"); }

TEST(AllowList, NoWayOfWritingAUrlLeadsElsewhere) {
    const allow_list allowed("http://shop:80,http://127.0.0.1:9000", {});
    for (const char* url :
         {"http://shop:81/", "https://shop/", "http://shop.evil/", "http://evil/http://shop/",
          "http://2130706433:9000/", "http://0x7f.1:9000/", "http://127.1:9000/", "http://localhost:9000/",
          "http://[::ffff:127.0.0.1]:9000/", "http://shop./", "http://127.0.0.1:9001/", "http://127.0.0.1:99999/",
          "ftp://shop/", "gopher://127.0.0.1:9000/"})
        EXPECT_EQ(look_up(allowed, url), "not allowed") << url;
    for (const char* url :
         {"", "shop", "/path", "//shop/", "http:///", "http://user@shop/", "http://shop@evil/", "http://evil@shop:80/",
          "http://shop/#part", "http://shop/a b", "http://sh op/", "http://shop/\r\nX: y", "http://shop\\@evil/",
          "http://shop/%zz", "http://[::1/", "file:///etc/passwd", "http://shop/\x80"})
        EXPECT_EQ(look_up(allowed, url), "no url") << url;
}

TEST(AllowList, HttpsIsAnotherOriginThanHttp) {
    const allow_list allowed("https://shop,http://shop,https://stock:8443,http://stock:443", {});
    EXPECT_EQ(allowed.find("https://shop/").value().server()->port, 443);
    EXPECT_EQ(allowed.find("http://shop/").value().server()->port, 80);
    EXPECT_TRUE(allowed.find("HTTPS://shop:443/").value().server()->secure);
    EXPECT_FALSE(allowed.find("http://shop/").value().server()->secure);
    EXPECT_EQ(look_up(allowed, "http://stock:8443/"), "not allowed");
    EXPECT_EQ(look_up(allowed, "https://stock:443/"), "not allowed");
    EXPECT_EQ(look_up(allowed, "https://shop:80/"), "not allowed");
}

TEST(AllowList, OnlyOriginsOfHttpAndHttpsAreTaken) {
    const auto refusal = [](const char* origins) -> std::string {
        try {
            const allow_list taken(origins, {});
        } catch (const std::runtime_error& refused) {
            return refused.what();
        }
        return "taken";
    };
    EXPECT_EQ(refusal("http://a,http://b:1"), "taken");
    EXPECT_EQ(refusal("https://a,https://b:1"), "taken");
    EXPECT_THAT(refusal("http://a,ftp://b"),
                HasSubstr("client.allow 'ftp://b': another scheme: allowed is http:// or https://"));
    EXPECT_THAT(refusal("http://me:word@a"), HasSubstr("client.allow 'http://***@a': user information"));
    for (const char* more : {"http://a/", "http://a/b", "http://a?b", "http://a#b"})
        EXPECT_THAT(refusal(more), HasSubstr("more than an origin")) << more;
    for (const char* none : {"a", "http://", "http://a,,http://b", "http://a, http://b", "127.0.0.1:80"})
        EXPECT_THAT(refusal(none), HasSubstr("client.allow '")) << none;
    EXPECT_THAT(refusal("http://a:0"), HasSubstr("no port"));
}

}  // namespace
