#include "server/cors.hpp"

#include <algorithm>
#include <boost/algorithm/string/join.hpp>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "server/middleware.hpp"

namespace server {
namespace {

class cors_policy {
public:
    explicit cors_policy(cors_options options)
        : options_(std::move(options)),
          anyone_(std::ranges::find(options_.origins, "*") != options_.origins.end()),
          methods_(boost::algorithm::join(options_.methods, ", ")),
          headers_(boost::algorithm::join(options_.headers, ", ")),
          exposed_(boost::algorithm::join(options_.exposed, ", ")),
          max_age_(std::to_string(options_.max_age.count())) {
        if (anyone_ && options_.credentials)
            throw std::invalid_argument("CORS: origins of \"*\" and credentials exclude each other");
    }

    std::optional<response> preflight(const request& asked) const {
        const bool is_preflight = asked.method == http::verb::options && !asked.header(http::field::origin).empty() &&
                                  !asked.header(http::field::access_control_request_method).empty();
        if (!is_preflight) return std::nullopt;
        response answer(http::status::no_content);
        if (allow_origin(asked, answer)) {
            if (!methods_.empty()) answer.set("Access-Control-Allow-Methods", methods_);
            if (!headers_.empty()) answer.set("Access-Control-Allow-Headers", headers_);
            answer.set("Access-Control-Max-Age", max_age_);
        }
        return answer;
    }

    void allow_reading(const request& asked, response& answer) const {
        if (allow_origin(asked, answer) && !exposed_.empty()) answer.set("Access-Control-Expose-Headers", exposed_);
    }

private:
    /// An origin is compared as it is: browsers write its scheme and host in lower case, and no default port.
    bool allow_origin(const request& asked, response& answer) const {
        const auto origin = asked.header(http::field::origin);
        if (!anyone_) answer.set("Vary", "Origin");  // also where none is allowed: caches keep it for those that are
        if (origin.empty()) return false;
        if (!anyone_ && std::ranges::find(options_.origins, origin) == options_.origins.end()) return false;
        answer.set("Access-Control-Allow-Origin", anyone_ ? "*" : origin);
        if (options_.credentials) answer.set("Access-Control-Allow-Credentials", "true");
        return true;
    }

    const cors_options options_;
    const bool anyone_;
    const std::string methods_, headers_, exposed_, max_age_;
};

}  // namespace

middleware cors(cors_options options) {
    const auto policy = std::make_shared<const cors_policy>(std::move(options));
    return around([policy](const request& asked) { return policy->preflight(asked); },
                  [policy](const request& asked, response& answer) { policy->allow_reading(asked, answer); });
}

}  // namespace server
