// A call of another service. The marked regions are code blocks of docs/make-it-yours.md.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/client/http_client.hpp"
#include "tests/lifecycle/fakes.hpp"
#include "tests/server/serving.hpp"

namespace make_it_yours {
namespace {

namespace http = server::http;
using lifecycle::context;
using server::request;
using server::response;
using answer = lifecycle::awaitable<response>;

// [upstream handler]
/// GET /price/{item}: as another service says it, within the time of the request.
answer price(const server::http_client& client, std::string of, context context, const request& request) {
    const auto target = client.find(of + std::string(request.parameter("item")));
    if (!target) co_return server::problem(http::status::bad_gateway);  // client.allow does not name it
    auto asking = client.send(context, {.to = *target, .trace = request.trace});
    const auto said = co_await std::move(asking);
    const bool late = said ? said->status == 504 : said.error() == boost::system::errc::timed_out;
    if (late) co_return server::problem(http::status::gateway_timeout);  // it knows how long it had
    if (!said || said->status != 200) co_return server::problem(http::status::bad_gateway);
    co_return response(http::status::ok, said->body);
}
// [/upstream handler]

TEST(MakeItYours, AnotherServiceIsAskedInTheTimeOfTheRequest) {
    const auto waits = [](context context, const request&) -> serving::reply {
        const auto never = lifecycle::clock::time_point::max();
        auto waiting = lifecycle::sleep_until(context, never);  // lint: until the time of the request is over
        co_await std::move(waiting);
        co_return response(http::status::ok, "7\n");
    };
    const serving::running prices(server::router().get("/of/nut", serving::says("3\n")).get("/of/bolt", waits));
    const auto origin = "http://" + prices.server().address();
    fakes::process process;
    server::client_options options;
    options.allow = origin;
    options.idle_timeout = std::chrono::milliseconds(10);  // nobody says to this client that there is a stop
    server::http_client client(options, process.stop, process.workers, process.log);
    const auto asks = [&](context context, const request& request) {
        return price(client, origin + "/of/", std::move(context), request);
    };
    const serving::running service(server::router().get("/price/{item}", asks));
    EXPECT_EQ(service.ask(support::get("/price/nut")).body, "3\n");
    EXPECT_EQ(service.ask(support::get("/price/screw")).status, 502) << "it is not there";
    EXPECT_EQ(service.ask(support::get("/price/bolt", "X-Request-Timeout: 100ms\r\n")).status, 504);
}

}  // namespace
}  // namespace make_it_yours
