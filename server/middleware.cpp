#include "server/middleware.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <memory>
#include <string>

namespace server {
namespace {

std::string_view without_port(std::string_view host) {
    if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
    return host.substr(0, host.find(':'));
}

/// Against DNS rebinding: a page of another site whose name has been made to lead here sends that name as Host. An
/// address, or localhost, cannot be made to lead anywhere else.
bool trusted_host(std::string_view host, const std::vector<std::string>& allowed) {
    auto name = without_port(host);
    if (same_name(name, "localhost")) return true;
    if (std::ranges::any_of(allowed, [name](const auto& known) { return same_name(name, known); })) return true;
    if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
    boost::system::error_code error;
    boost::asio::ip::make_address(std::string(name), error);
    return !error;
}

/// RFC 9110 section 9.2.1.
bool changes_nothing(http::verb method) {
    return method == http::verb::get || method == http::verb::head || method == http::verb::options;
}

bool same_site(const request& request, const std::vector<std::string>& allowed) {
    if (!trusted_host(request.host, allowed)) return false;
    const auto origin = request.header(http::field::origin);
    // curl and the like send none; a browser does with whatever may change something.
    if (origin.empty()) return true;
    constexpr std::string_view clear = "http://", secure = "https://";
    // A page that came over TLS is of this host, also where a proxy in front has ended the TLS. One that came in clear
    // may be anybody's: of a port that is asked over TLS it is another origin.
    if (origin.starts_with(secure)) return same_name(origin.substr(secure.size()), request.host);
    return request.scheme != "https" && origin.starts_with(clear) &&
           same_name(origin.substr(clear.size()), request.host);
}

}  // namespace

middleware same_site_only(std::vector<std::string> allowed_hosts) {
    const auto list = std::make_shared<const std::vector<std::string>>(std::move(allowed_hosts));
    const auto refusal = [list](const request& request) -> std::optional<response> {
        if (changes_nothing(request.method) || same_site(request, *list)) return std::nullopt;
        return problem(http::status::forbidden);
    };
    return around(refusal, nothing_after);
}

middleware strict_transport(std::chrono::seconds lasts) {
    const auto says = [value = "max-age=" + std::to_string(lasts.count())](const request& of, response& answer) {
        if (of.scheme == "https") answer.set("Strict-Transport-Security", value);
    };
    return around(nothing_before, says);
}

namespace {

struct request_log {
    spdlog::logger* to;
    std::string id, trace, route;
};

}  // namespace

middleware with_log(spdlog::logger& log) {
    const auto with = [to = &log](const lifecycle::context& context, const request& of) {
        return context.with(request_log{to, std::string(of.id), std::string(of.trace.id()), std::string(of.route)});
    };
    return [with](handler next) -> handler {
        if (const auto* const plain = next.as_plain())
            return [with, plain = *plain](const lifecycle::context& context, const request& of) {
                return plain(with(context, of), of);
            };
        return [with, next = std::move(next)](const lifecycle::context& context, const request& of) {
            return next(with(context, of), of);
        };
    };
}

lifecycle::lines log_of(const lifecycle::context& context) noexcept {
    const auto* const of = context.find<request_log>();
    if (of == nullptr) return {nullptr, {}};
    const std::array facts{lifecycle::log_fact("request_id", of->id), lifecycle::log_fact("trace_id", of->trace),
                           lifecycle::log_fact("route", of->route)};
    return {of->to, facts};
}

handler with_request_values(handler next) {
    const auto with_values = [](const lifecycle::context& context, const request& of) {
        return context.with(request_values{std::string(of.id), std::string(of.route), of.trace, of.peer, of.client(),
                                           std::string(of.client_subject)});
    };
    if (const auto* const plain = next.as_plain())
        return [with_values, plain = *plain](const lifecycle::context& context, const request& of) {
            return plain(with_values(context, of), of);
        };
    return [with_values, next = std::move(next)](const lifecycle::context& context, const request& of) {
        return next(with_values(context, of), of);
    };
}

}  // namespace server
