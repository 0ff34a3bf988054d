// Orders in JSON: a body that is checked, a group of routes for a page of another origin, keys. The marked regions are
// code blocks of docs/make-it-yours.md.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>

#include "server/cors.hpp"
#include "server/credentials.hpp"
#include "server/json.hpp"
#include "server/shared_histogram.hpp"
#include "tests/server/serving.hpp"

namespace make_it_yours {
namespace {

namespace http = server::http;
using lifecycle::context;
using server::request;
using server::response;

// [described]
namespace json = server::json;

struct order {
    std::string item;
    int quantity = 0;
    std::optional<std::string> note;

    static constexpr auto json_members = json::members(
        json::member("item", &order::item, json::size(1, 80)),
        json::member("quantity", &order::quantity, json::between(1, 100)), json::member("note", &order::note));
};
// [/described]

// [order book]
class order_book {
public:
    bool is_closed(int id) const { return id == 1; }
    void put(int id, order each) {
        const std::scoped_lock lock(mutex_);
        all_[id] = std::move(each);
    }
    bool erase(int id) {
        const std::scoped_lock lock(mutex_);
        return all_.erase(id) > 0;
    }

private:
    std::mutex mutex_;
    std::map<int, order> all_;
};
// [/order book]

// [json handlers]
/// PUT /orders/{id}
response put_order(order_book& book, const request& request) {
    const auto id = request.parameter<int>("id");
    if (!id) return server::problem(http::status::not_found);
    const auto asked = json::read<order>(request);
    if (!asked) return asked.problem();
    if (book.is_closed(*id))
        return server::problem({.status = http::status::conflict, .detail = "a closed order does not change"});
    book.put(*id, *asked);
    return json::answer(http::status::ok, *asked);
}
// [/json handlers]

// [delete handler]
/// DELETE /orders/{id}
response delete_order(order_book& book, const request& request) {
    const auto id = request.parameter<int>("id");
    return id && book.erase(*id) ? response(http::status::no_content) : server::problem(http::status::not_found);
}
// [/delete handler]

server::router order_routes(order_book& book, const std::string& key_digest) {
    server::router routes;
    routes.probe("/livez", serving::says("ok"));
    // [group]
    routes.group("/api", [&](server::router& api) {
        api.use(server::cors({.origins = {"https://shop.example"}, .headers = {"Authorization", "Content-Type"}}));
        api.use(server::require_bearer({key_digest}));  // inside cors: a browser's preflight has no key
        api.put("/orders/{id}", server::plain([&book](const request& request) { return put_order(book, request); }));
        api.del("/orders/{id}", server::plain([&book](const request& request) { return delete_order(book, request); }));
    });
    // [/group]
    return routes;
}

// [histogram]
struct order_metrics {
    server::shared_histogram quantities{{1, 2, 5, 10, 20, 50}};  // observed by any loop

    void write_metrics(server::metrics_text& out) const {
        out.family("order_quantity", "histogram", "Pieces of an order.");
        quantities.write(out);
    }
};
// [/histogram]

TEST(MakeItYours, AMetricMayBeAHistogramOfItsOwn) {
    order_metrics metrics;
    metrics.quantities.observe(7);
    server::metrics_text out;
    metrics.write_metrics(out);
    EXPECT_THAT(out.take(), testing::HasSubstr("order_quantity_bucket{le=\"10\"} 1\n"));
}

class Orders : public testing::Test {
protected:
    support::response ask(std::string_view method, std::string_view path, std::string_view body,
                          std::string_view more = "Authorization: Bearer key\r\n") const {
        return service_.ask(std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n" +
                            std::string(more) + "Content-Type: application/json\r\nContent-Length: " +
                            std::to_string(body.size()) + "\r\n\r\n" + std::string(body));
    }

private:
    order_book book_;
    // printf %s key | sha256sum
    const serving::running service_{
        order_routes(book_, "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683")};
};

TEST_F(Orders, OneThatIsAsDescribedIsTaken) {
    const auto answer = ask("PUT", "/api/orders/7", R"({"item":"nut","quantity":2})");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, R"({"item":"nut","quantity":2,"note":null})"
                           "\n");
    EXPECT_EQ(ask("DELETE", "/api/orders/7", "").status, 204);
    EXPECT_EQ(ask("DELETE", "/api/orders/7", "").status, 404);
}

TEST_F(Orders, WhatIsWrongWithAnotherIsSaidWithItsPlace) {
    const auto answer = ask("PUT", "/api/orders/7", R"({"item":"nut","quantity":1000})");
    EXPECT_EQ(answer.status, 422);
    EXPECT_EQ(answer.header("Content-Type"), "application/problem+json");
    EXPECT_EQ(answer.body,
              R"({"title":"Unprocessable Entity","status":422,"detail":"the body is not what is expected here",)"
              R"("errors":[{"pointer":"/quantity","detail":"a whole number from 1 to 100"}]})"
              "\n");
    EXPECT_EQ(ask("PUT", "/api/orders/seven", R"({"item":"nut","quantity":1})").status, 404);
    EXPECT_EQ(ask("PUT", "/api/orders/1", R"({"item":"nut","quantity":1})").status, 409);
}

TEST_F(Orders, TheGroupIsForWhoHasAKeyAndForThePagesOfOneOrigin) {
    const auto without = ask("PUT", "/api/orders/7", "{}", "Origin: https://shop.example\r\n");
    EXPECT_EQ(without.status, 401);
    EXPECT_EQ(without.header("WWW-Authenticate"), "Bearer");
    EXPECT_EQ(without.header("Access-Control-Allow-Origin"), "https://shop.example");
    const auto preflight =
        ask("OPTIONS", "/api/orders/7", "", "Origin: https://shop.example\r\nAccess-Control-Request-Method: PUT\r\n");
    EXPECT_EQ(preflight.status, 204);
    EXPECT_EQ(preflight.header("Access-Control-Allow-Origin"), "https://shop.example");
    EXPECT_EQ(ask("GET", "/livez", "", "").status, 200);
}

}  // namespace
}  // namespace make_it_yours
