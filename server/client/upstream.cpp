#include "server/client/upstream.hpp"

#include <fmt/format.h>

#include <boost/system/errc.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <ostream>  // Beast's string view uses and does not include it
#include <stdexcept>

#include "lifecycle/masked_urls.hpp"
#include "server/request.hpp"

namespace server {
namespace {

namespace errc = boost::system::errc;

bool is_https(const boost::urls::url_view& url) { return same_name(url.scheme(), "https"); }
bool is_spoken(const boost::urls::url_view& url) { return is_https(url) || same_name(url.scheme(), "http"); }

/// RFC 9110, sections 4.2.1 and 4.2.2: an absent port and an empty one are the scheme's.
std::uint16_t port_of(const boost::urls::url_view& url) {
    if (url.has_port() && !url.port().empty()) return url.port_number();
    return is_https(url) ? 443 : 80;
}

std::shared_ptr<const upstream> make_upstream(std::string_view origin, const connection_limits& limits) {
    const auto refuse = [origin](const char* why) {
        throw std::runtime_error(
            fmt::format("client.allow '{}': {}: allowed is http:// or https://, a host, and a port",
                        lifecycle::masked_urls(origin, lifecycle::url_text::urls), why));
    };
    const auto url = boost::urls::parse_uri(origin);
    if (!url || url->host().empty()) refuse("no origin");
    if (!is_spoken(*url)) refuse("another scheme");
    if (url->has_userinfo()) refuse("user information");
    if (!url->encoded_path().empty() || url->has_query() || url->has_fragment()) refuse("more than an origin");
    const auto port = port_of(*url);
    if (port == 0) refuse("no port");
    return std::make_shared<const upstream>(
        upstream{url->host_address(), port, std::string(url->encoded_host_and_port()), is_https(*url), limits});
}

}  // namespace

allow_list::allow_list(std::string_view origins, const connection_limits& limits) {
    while (!origins.empty()) {
        const auto comma = origins.find(',');
        upstreams_.push_back(make_upstream(origins.substr(0, comma), limits));
        origins.remove_prefix(comma == origins.npos ? origins.size() : comma + 1);
    }
}

boost::system::result<upstream_target> allow_list::find(std::string_view text) const {
    const auto url = boost::urls::parse_uri(text);
    if (!url || url->host().empty() || url->has_userinfo() || url->has_fragment())
        return errc::make_error_code(errc::invalid_argument);
    if (!is_spoken(*url)) return errc::make_error_code(errc::permission_denied);
    const auto host = url->host_address();
    const auto port = port_of(*url);
    for (const auto& upstream : upstreams_) {
        if (upstream->port != port || upstream->secure != is_https(*url) || !same_name(upstream->host, host)) continue;
        std::string path(url->encoded_path().empty() ? "/" : std::string(url->encoded_path()));
        if (url->has_query()) path.append("?").append(std::string(url->encoded_query()));
        return upstream_target(upstream, std::move(path));
    }
    return errc::make_error_code(errc::permission_denied);
}

}  // namespace server
