#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lifecycle/lines.hpp"
#include "server/router.hpp"

namespace server {

/// A middleware of two functions: `before` may answer instead of the handler (`std::optional<response>(const
/// request&)`), `after` adds to what the handler has answered (`void(const request&, response&)`).
template <class Before, class After>
middleware around(Before before, After after) {
    return [before, after](handler next) -> handler {
        if (const auto* const plain = next.as_plain())
            return [before, after, plain = *plain](const lifecycle::context& context, const request& request) {
                if (auto instead = before(request)) return std::move(*instead);
                auto answer = plain(context, request);
                after(request, answer);
                return answer;
            };
        return [before, after, next = std::move(next)](lifecycle::context context,
                                                       const request& request) -> lifecycle::awaitable<response> {
            if (auto instead = before(request)) co_return std::move(*instead);
            auto answering = next(std::move(context), request);
            auto answer = co_await std::move(answering);
            after(request, answer);
            co_return answer;
        };
    };
}
constexpr auto nothing_before = [](const request&) -> std::optional<response> { return std::nullopt; };
constexpr auto nothing_after = [](const request&, response&) {};

/// Refuses what a page of another site could make a browser do: for methods that change something the
/// Host must be an IP literal, `localhost` or in `allowed_hosts` (DNS rebinding), and an Origin must be
/// the same host and port (CSRF), and no http: where https was asked; else 403. GET, HEAD and OPTIONS pass.
middleware same_site_only(std::vector<std::string> allowed_hosts);

/// Answers to requests that came over https, to here or to a trusted proxy, say that for this long this host must be
/// asked only so (HSTS, RFC 6797). Browsers hold to it, so try it with minutes first.
middleware strict_transport(std::chrono::seconds lasts);

/// The handler's context carries the `request_values`. Use it for routes whose handlers call code that needs them,
/// since it costs a request an allocation or two. `routes.use(with_request_values)`, or around one handler.
handler with_request_values(handler next);

/// The handler's context carries a log whose lines say which request they belong to: see `log_of`. It costs a request
/// an allocation or two. `log` must outlive the router.
middleware with_log(spdlog::logger& log);

/// For log lines of code that a handler calls: each has the request's id, trace and route as facts. Good for as long as
/// `context`. Without `with_log` around the handler, as in a test of its own, what is said goes nowhere.
lifecycle::lines log_of(const lifecycle::context& context) noexcept;

}  // namespace server
