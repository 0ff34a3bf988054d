#include "server/credentials.hpp"

#include <algorithm>
#include <boost/algorithm/string/case_conv.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "server/middleware.hpp"
#include "server/sha256.hpp"

namespace server {
namespace {

class known_keys {
public:
    explicit known_keys(std::vector<std::string> digests) : digests_(std::move(digests)) {
        for (auto& each : digests_) {
            boost::algorithm::to_lower(each);
            if (each.size() != 64 || each.find_first_not_of("0123456789abcdef") != each.npos)
                throw std::invalid_argument("the digest of a key is 64 hexadecimal digits: printf %s KEY | sha256sum");
        }
    }

    /// Looks at all of them, whichever it is.
    bool have(std::string_view key) const {
        sha256 sum;
        sum.add(key);
        const auto digest = sum.hex();
        unsigned found = 0;
        for (const auto& each : digests_) found |= static_cast<unsigned>(same_in_constant_time(each, digest));
        return found != 0 && !key.empty();
    }

private:
    std::vector<std::string> digests_;
};

/// The value of the only field of that name: of two, a proxy in front of us may have looked at the other one.
std::string_view only_value(const request& of, std::string_view name) noexcept {
    const auto has_name = [name](const request::field& field) { return same_name(field.name, name); };
    return std::ranges::count_if(of.fields, has_name) == 1 ? of.header(name) : std::string_view();
}

std::string_view bearer_of(const request& asked) noexcept {
    auto value = only_value(asked, "Authorization");
    constexpr std::string_view scheme = "Bearer ";
    if (value.size() < scheme.size() || !same_name(value.substr(0, scheme.size()), scheme)) return {};
    value.remove_prefix(std::min(value.find_first_not_of(' ', scheme.size()), value.size()));
    return value;
}

response unauthorized(std::string_view challenge) {
    return std::move(problem(http::status::unauthorized).set("WWW-Authenticate", challenge));
}

}  // namespace

/// Without a branch on what they hold. The compiler may not see through `differ`, or it would leave the loop early.
bool same_in_constant_time(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    volatile unsigned char differ = 0;
    for (std::size_t nth = 0; nth < a.size(); ++nth) {
        const auto left = static_cast<unsigned>(static_cast<unsigned char>(a[nth]));
        differ = static_cast<unsigned char>(differ | (left ^ static_cast<unsigned char>(b[nth])));
    }
    return differ == 0;
}

middleware require_bearer(std::vector<std::string> digests) {
    const auto refusal = [keys = std::make_shared<const known_keys>(std::move(digests))](
                             const request& asked) -> std::optional<response> {
        const auto key = bearer_of(asked);
        if (keys->have(key)) return std::nullopt;
        return unauthorized(key.empty() ? "Bearer" : "Bearer error=\"invalid_token\"");  // RFC 6750 section 3.1
    };
    return around(refusal, nothing_after);
}

middleware require_api_key(std::string field, std::vector<std::string> digests) {
    const auto refusal = [keys = std::make_shared<const known_keys>(std::move(digests)),
                          field = std::move(field)](const request& asked) -> std::optional<response> {
        if (keys->have(only_value(asked, field))) return std::nullopt;
        return unauthorized("ApiKey field=\"" + field + '"');  // a 401 must name a scheme; none is registered for this
    };
    return around(refusal, nothing_after);
}

}  // namespace server
