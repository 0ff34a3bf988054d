// Short links in SQLite: the same as bench/newcomer/README.md asks of each.
#include "cmd/links/routes.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "server/json.hpp"

namespace http = server::http;
namespace json = server::json;
using lifecycle::context;
using server::problem;
using server::request;
using server::response;
using answer = lifecycle::awaitable<response>;

namespace {

struct web_address {
    static bool allows(const std::string& url) {
        return (url.starts_with("http://") || url.starts_with("https://")) && url.size() <= 2000 &&
               std::ranges::all_of(url, [](char each) { return '!' <= each && each <= '~'; });
    }
    static std::string allowed(std::string_view) { return "http:// or https://, at most 2000 characters of a URL"; }
};

struct link {
    std::string url;
    std::optional<std::string> code;
    std::optional<int> visits;

    static constexpr auto json_members =
        json::members(json::member("url", &link::url, web_address()), json::member("code", &link::code),
                      json::member("visits", &link::visits));
};

response unanswered(const boost::system::error_code& why) {
    if (why == boost::system::errc::timed_out) return problem(http::status::gateway_timeout);
    return std::move(problem(http::status::service_unavailable).set("Retry-After", "1"));
}

answer make(store& links, context context, const request& request) {
    const auto asked = json::read<link>(request);
    if (!asked) co_return asked.problem();
    auto asking = links.ask(
        context, "INSERT INTO links (code, url) VALUES (lower(hex(randomblob(5))), ?) RETURNING code", asked->url);
    const auto made = co_await std::move(asking);
    if (!made) co_return unanswered(made.error());
    co_return std::move(
        json::answer(http::status::created, link{asked->url, made->front(), 0}).set("Location", "/" + made->front()));
}

/// What `said` makes of the row; 404 without one.
answer found(store& links, context context, const request& request, const char* sql,
             response (*said)(const store::row& row)) {
    auto asking = links.ask(context, sql, std::string(request.parameter("code")));
    const auto row = co_await std::move(asking);
    if (!row) co_return unanswered(row.error());
    co_return row->empty() ? problem(http::status::not_found) : said(*row);
}

response moved(const store::row& row) { return std::move(response(http::status::found).set("Location", row[0])); }
response counted(const store::row& row) {
    return json::answer(http::status::ok, link{row[0], row[1], std::stoi(row[2])});
}

}  // namespace

server::router app_routes(store& links, const lifecycle::stop_channel& stop) {
    server::router routes;
    routes.post("/links",
                [&links](context context, const request& request) { return make(links, std::move(context), request); });
    routes.get("/links/{code}", [&links](context context, const request& request) {
        return found(links, std::move(context), request, "SELECT url, code, visits FROM links WHERE code = ?", counted);
    });
    routes.get("/{code}", [&links](context context, const request& request) {
        return found(links, std::move(context), request,
                     "UPDATE links SET visits = visits + 1 WHERE code = ? RETURNING url", moved);
    });
    routes.probe("/livez", server::plain([](const request&) { return response(http::status::ok); }));
    routes.probe("/readyz", server::plain([&stop](const request&) {
                     return stop.is_ready() ? response(http::status::ok) : unanswered({});
                 }));
    return routes;
}
