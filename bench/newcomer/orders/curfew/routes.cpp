// Orders in JSON over PostgreSQL: the same as bench/newcomer/README.md asks of each.
#include "cmd/orders/routes.hpp"

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

struct order {
    std::string item;
    int quantity = 0;
    std::optional<std::string> note;

    static constexpr auto json_members = json::members(
        json::member("item", &order::item, json::size(1, 80)),
        json::member("quantity", &order::quantity, json::between(1, 100)), json::member("note", &order::note));
};

response unanswered(const boost::system::error_code& why) {
    if (why == boost::system::errc::timed_out) return problem(http::status::gateway_timeout);
    return std::move(problem(http::status::service_unavailable).set("Retry-After", "1"));
}

answer put_order(database& data, context context, const request& request) {
    const auto id = request.parameter<int>("id");
    if (!id) co_return problem(http::status::not_found);
    const auto asked = json::read<order>(request);
    if (!asked) co_return asked.problem();
    auto storing = data.with(context, "store order", [id = *id, put = *asked](database::session& session) {
        return session.query("INSERT INTO orders VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING id",
                             {std::to_string(id), put.item, std::to_string(put.quantity), put.note});
    });
    const auto stored = co_await std::move(storing);
    if (!stored) co_return unanswered(stored.error());
    if (stored->empty()) co_return problem(http::status::conflict);
    co_return json::answer(http::status::created, *asked);
}

answer get_order(database& data, context context, const request& request) {
    const auto id = request.parameter<int>("id");
    if (!id) co_return problem(http::status::not_found);
    auto looking = data.with(context, "find order", [id = *id](database::session& session) {
        return session.query("SELECT item, quantity, note FROM orders WHERE id = $1", {std::to_string(id)});
    });
    const auto found = co_await std::move(looking);
    if (!found) co_return unanswered(found.error());
    if (found->empty()) co_return problem(http::status::not_found);
    const auto& row = found->front();
    co_return json::answer(http::status::ok, order{*row[0], std::stoi(*row[1]), row[2]});
}

}  // namespace

server::router app_routes(database& data, const lifecycle::stop_channel& stop) {
    server::router routes;
    routes.put("/orders/{id}", [&data](context context, const request& request) {
        return put_order(data, std::move(context), request);
    });
    routes.get("/orders/{id}", [&data](context context, const request& request) {
        return get_order(data, std::move(context), request);
    });
    routes.probe("/livez", server::plain([](const request&) { return response(http::status::ok); }));
    routes.probe("/readyz", server::plain([&stop](const request&) {
                     return stop.is_ready() ? response(http::status::ok) : unanswered({});
                 }));
    return routes;
}
