#include "server/field_names.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cctype>
#include <ostream>
#include <string>
#include <vector>

#include "server/head.hpp"

namespace {

namespace http = boost::beast::http;

http::field by_beast(std::string_view name) { return http::string_to_field({name.data(), name.size()}); }

/// All of Beast's, and what this server looks for beside them.
std::vector<std::string> names() {
    std::vector<std::string> all;
    for (unsigned nth = 1; nth <= static_cast<unsigned>(http::field::xref); ++nth)
        all.emplace_back(http::to_string(static_cast<http::field>(nth)));
    for (const auto* other : {"traceparent", "X-Request-Id", "X-Request-Timeout", "X-Forwarded-For", "Sec-Fetch-Mode",
                              "Sec-Fetch-Site", "Upgrade-Insecure-Requests", "a", "ab", "abc", "abcd", "none-such"})
        all.emplace_back(other);
    return all;
}

TEST(FieldNames, AreKnownAsBeastKnowsThemInAnyCase) {
    for (auto name : names()) {
        EXPECT_EQ(server::known_field(name), by_beast(name)) << name;
        std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
        EXPECT_EQ(server::known_field(name), by_beast(name)) << name;
        std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
        EXPECT_EQ(server::known_field(name), by_beast(name)) << name;
    }
}

TEST(FieldNames, AreAnotherWithAnyOtherByteOfAToken) {
    for (const auto& name : names())
        for (std::size_t at = 0; at < name.size(); ++at)
            for (int byte = 0; byte < 256; ++byte) {
                auto other = name;
                other[at] = static_cast<char>(byte);
                if (!server::is_token(other[at])) continue;
                ASSERT_EQ(server::known_field(other), by_beast(other)) << other;
            }
}

}  // namespace
