#include "server/router.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/server/run_handler.hpp"

namespace {

using server::handler;
using server::request;
using server::response;
using server::route;
using server::router;
namespace http = server::http;
using pairs = std::vector<std::pair<std::string_view, std::string_view>>;

handler says(std::string text) {
    return [text](lifecycle::context, const request&) -> lifecycle::awaitable<response> {
        co_return response(http::status::ok, text);
    };
}

request asking(http::verb method, std::string_view path) {
    request made;
    made.method = method;
    made.path = path;
    return made;
}

/// The name of the route that answers; "" when the fallback does.
std::string found(const router& routes, http::verb method, std::string_view path) {
    auto wanted = asking(method, path);
    const auto* const to = routes.find(wanted);
    return to == nullptr ? "" : to->name;
}

TEST(Router, FindsTheHandlerOfAPathAndMethod) {
    router routes;
    routes.get("/", says("root")).get("/a", says("get")).post("/a", says("post"));
    EXPECT_EQ(found(routes, http::verb::get, "/"), "GET /");
    EXPECT_EQ(found(routes, http::verb::get, "/a"), "GET /a");
    EXPECT_EQ(found(routes, http::verb::post, "/a"), "POST /a");
    EXPECT_EQ(found(routes, http::verb::get, "/a/"), "");
    EXPECT_EQ(found(routes, http::verb::get, "/A"), "");
    EXPECT_EQ(found(routes, http::verb::get, ""), "");
}

TEST(Router, AParameterMatchesOneSegmentThatIsNotEmpty) {
    router routes;
    routes.get("/users/{id}/posts/{post}", says("x")).get("/{any}", says("y"));
    auto wanted = asking(http::verb::get, "/users/7/posts/a b");
    const auto* const to = routes.find(wanted);
    ASSERT_NE(to, nullptr);
    EXPECT_EQ(to->name, "GET /users/{id}/posts/{post}");
    EXPECT_EQ(wanted.parameters, (pairs{{"id", "7"}, {"post", "a b"}}));
    EXPECT_EQ(found(routes, http::verb::get, "/users//posts/a"), "");
    EXPECT_EQ(found(routes, http::verb::get, "/users/7/posts/"), "");
    EXPECT_EQ(found(routes, http::verb::get, "/users/7/posts/a/b"), "");
    EXPECT_EQ(found(routes, http::verb::get, "/users/7"), "");
    EXPECT_EQ(found(routes, http::verb::get, "/a%2Fb"), "GET /{any}");
    EXPECT_EQ(found(routes, http::verb::get, "/"), "");
    EXPECT_EQ(found(routes, http::verb::get, "*"), "");
}

TEST(Router, AnExactPathWinsOverPatternsAndAnEarlierPatternOverALaterOne) {
    router routes;
    routes.get("/a/{x}", says("1")).get("/{y}/b", says("2")).get("/a/b", says("3"));
    EXPECT_EQ(found(routes, http::verb::get, "/a/b"), "GET /a/b");
    EXPECT_EQ(found(routes, http::verb::get, "/a/c"), "GET /a/{x}");
    EXPECT_EQ(found(routes, http::verb::get, "/c/b"), "GET /{y}/b");
}

TEST(Router, NothingOfAPatternThatDidNotMatchIsLeft) {
    router routes;
    routes.get("/{x}/1", says("1")).get("/{y}/2", says("2"));
    auto wanted = asking(http::verb::get, "/a/2");
    ASSERT_NE(routes.find(wanted), nullptr);
    EXPECT_EQ(wanted.parameters, (pairs{{"y", "a"}}));
}

TEST(Router, HeadIsAnsweredByGetUnlessItHasAHandlerOfItsOwn) {
    router routes;
    routes.get("/a", says("get")).get("/b", says("get")).add(http::verb::head, "/b", says("head"));
    routes.post("/c", says("post"));
    EXPECT_EQ(found(routes, http::verb::head, "/a"), "GET /a");
    EXPECT_EQ(found(routes, http::verb::head, "/b"), "HEAD /b");
    EXPECT_EQ(found(routes, http::verb::head, "/c"), "");
}

TEST(Router, WhatIsNotThereIs404) {
    router routes;
    routes.get("/a", says("x"));
    const auto answer = routes.fallback(asking(http::verb::get, "/b"));
    EXPECT_EQ(answer.status, http::status::not_found);
    EXPECT_EQ(answer.fields(), "");
    EXPECT_EQ(routes.fallback(asking(http::verb::options, "/b")).status, http::status::not_found);
}

TEST(Router, AMethodThatIsNotThereIs405WithTheOnesThatAre) {
    router routes;
    routes.get("/a", says("x")).post("/a", says("y")).add(http::verb::delete_, "/b/{c}", says("z"));
    const auto answer = routes.fallback(asking(http::verb::put, "/a"));
    EXPECT_EQ(answer.status, http::status::method_not_allowed);
    EXPECT_EQ(answer.fields(), "Allow: GET, HEAD, POST, OPTIONS\r\n");
    EXPECT_EQ(routes.fallback(asking(http::verb::get, "/b/1")).fields(), "Allow: DELETE, OPTIONS\r\n");
}

TEST(Router, OptionsIs204WithTheMethods) {
    router routes;
    routes.get("/a", says("x"));
    const auto answer = routes.fallback(asking(http::verb::options, "/a"));
    EXPECT_EQ(answer.status, http::status::no_content);
    EXPECT_EQ(answer.fields(), "Allow: GET, HEAD, OPTIONS\r\n");
    EXPECT_EQ(routes.fallback(asking(http::verb::options, "*")).status, http::status::no_content);
    EXPECT_EQ(found(routes, http::verb::options, "*"), "");
}

TEST(Router, ConnectIsNotImplemented) {
    router routes;
    routes.get("/{a}", says("x"));
    EXPECT_EQ(found(routes, http::verb::connect, ""), "");
    EXPECT_EQ(routes.fallback(asking(http::verb::connect, "")).status, http::status::not_implemented);
}

server::middleware marks(std::string name, std::vector<std::string>& order) {
    return [name, &order](handler next) -> handler {
        return [name, &order, next = std::move(next)](lifecycle::context context,
                                                      const request& request) -> lifecycle::awaitable<response> {
            order.push_back(name + " before");
            auto answering = next(std::move(context), request);
            auto answer = co_await std::move(answering);
            order.push_back(name + " after");
            co_return answer;
        };
    };
}

TEST(Router, TheFirstMiddlewareIsTheOutermostAndWrapsOnlyWhatComesLater) {
    std::vector<std::string> order;
    router routes;
    routes.get("/bare", says("x"));
    routes.use(marks("1", order)).use(marks("2", order));
    routes.get("/wrapped", says("y"));

    auto wanted = asking(http::verb::get, "/wrapped");
    EXPECT_EQ(run_handler(routes.find(wanted)->handle, wanted).body, "y");
    EXPECT_THAT(order, testing::ElementsAre("1 before", "2 before", "2 after", "1 after"));

    order.clear();
    wanted = asking(http::verb::get, "/bare");
    EXPECT_EQ(run_handler(routes.find(wanted)->handle, wanted).body, "x");
    EXPECT_THAT(order, testing::IsEmpty());
}

/// Says who it is on each answer, and leaves a plain handler plain.
server::middleware signs(std::string name) {
    return [name](handler next) -> handler {
        if (const auto* const plain = next.as_plain())
            return [name, plain = *plain](const lifecycle::context& context, const request& request) {
                auto answer = plain(context, request);
                answer.set("By", name);
                return answer;
            };
        return next;
    };
}

std::string signers(const response& answer) {
    std::string all;
    for (auto rest = answer.fields(); !rest.empty(); rest.remove_prefix(rest.find('\n') + 1))
        if (rest.starts_with("By: ")) all += rest.substr(4, rest.find('\r') - 4);
    return all;
}

handler quick() {
    return [](const lifecycle::context&, const request&) { return response(); };
}

TEST(Router, HasAWordForEachMethodThatChangesSomething) {
    router routes;
    routes.put("/a", quick()).patch("/a", quick()).del("/a", quick());
    EXPECT_EQ(found(routes, http::verb::put, "/a"), "PUT /a");
    EXPECT_EQ(found(routes, http::verb::patch, "/a"), "PATCH /a");
    EXPECT_EQ(found(routes, http::verb::delete_, "/a"), "DELETE /a");
    EXPECT_EQ(routes.fallback(asking(http::verb::get, "/a")).fields(), "Allow: PUT, PATCH, DELETE, OPTIONS\r\n");
}

TEST(Router, AGroupHasAPrefixAndMiddlewareOfItsOwnInsideOfTheOthers) {
    router routes;
    routes.use(signs("a"));
    routes.group("/admin", [](router& admin) {
        admin.use(signs("b")).get("", quick()).get("/users/{id}", quick());
        admin.group("/deep", [](router& deep) { deep.use(signs("c")).probe("/x", quick()); });
        admin.get("/last", quick());
    });
    routes.group("", [](router& same) { same.use(signs("d")).get("/d", quick()); });
    routes.get("/after", quick());
    const auto by = [&routes](std::string_view path) {
        auto wanted = asking(http::verb::get, path);
        const auto* const to = routes.find(wanted);
        return to == nullptr ? "nobody" : signers(run_handler(to->handle, wanted));
    };
    EXPECT_EQ(by("/admin"), "ba");
    EXPECT_EQ(by("/admin/users/7"), "ba");
    EXPECT_EQ(by("/admin/deep/x"), "cba");
    EXPECT_EQ(by("/admin/last"), "ba");
    EXPECT_EQ(by("/d"), "da");
    EXPECT_EQ(by("/after"), "a");
    EXPECT_EQ(by("/users/7"), "nobody");
}

TEST(Router, ThePrefixOfAGroupIsAPathThatDoesNotEndInASlash) {
    for (const auto* prefix : {"admin", "/", "/admin/"})
        EXPECT_THROW(router().group(prefix, [](router&) {}), std::invalid_argument) << prefix;
}

TEST(Router, WhatItSaysItselfOfAPathIsWrappedAsItsRoutesAre) {
    router routes;
    routes.get("/bare", quick());
    routes.use(signs("a"));
    routes.group("/g", [](router& group) { group.use(signs("b")).get("/x", quick()); });
    const auto by = [&routes](http::verb method, std::string_view path) {
        return signers(routes.fallback(asking(method, path)));
    };
    EXPECT_EQ(by(http::verb::post, "/bare"), "");
    EXPECT_EQ(by(http::verb::post, "/g/x"), "ba");
    EXPECT_EQ(by(http::verb::options, "/g/x"), "ba");
    EXPECT_EQ(by(http::verb::get, "/nothing"), "a");
    EXPECT_EQ(by(http::verb::get, "/g/nothing"), "a");
    routes.post("/g/x", quick());
    EXPECT_EQ(routes.fallback(asking(http::verb::put, "/g/x")).status, http::status::method_not_allowed);
    EXPECT_THAT(std::string(routes.fallback(asking(http::verb::put, "/g/x")).fields()),
                testing::HasSubstr("Allow: GET, HEAD, POST, OPTIONS\r\n"));
}

TEST(Router, AMiddlewareThatWaitsIsLeftOutOfWhatItSaysItself) {
    std::vector<std::string> order;
    router routes;
    routes.use(signs("a")).use(marks("waits", order)).use(signs("b")).get("/x", quick());
    EXPECT_EQ(signers(routes.fallback(asking(http::verb::post, "/x"))), "ba");
    EXPECT_THAT(order, testing::IsEmpty());
}

TEST(Router, ASecondHandlerForTheSameIsRefused) {
    router routes;
    routes.get("/a", says("x")).get("/b/{c}", says("y"));
    EXPECT_THROW(routes.get("/a", says("z")), std::invalid_argument);
    EXPECT_THROW(routes.get("/b/{c}", says("z")), std::invalid_argument);
    EXPECT_THROW(routes.post("/b/{d}", says("z")), std::invalid_argument) << "would never be found";
    EXPECT_NO_THROW(routes.post("/b/{c}", says("z")));
}

TEST(Router, APatternThatIsNoPathIsRefused) {
    router routes;
    EXPECT_THROW(routes.get("", says("x")), std::invalid_argument);
    EXPECT_THROW(routes.get("a", says("x")), std::invalid_argument);
}

TEST(Router, NamesEndpointsByIndexAndProbesAreExempt) {
    router routes;
    routes.get("/a", says("x")).probe("/livez", says("y")).post("/a", says("z"));
    EXPECT_THAT(routes.names(), testing::ElementsAre("GET /a", "GET /livez", "POST /a"));
    auto wanted = asking(http::verb::get, "/livez");
    EXPECT_TRUE(routes.find(wanted)->exempt);
    EXPECT_EQ(routes.find(wanted)->index, 1U);
    wanted = asking(http::verb::get, "/a");
    EXPECT_FALSE(routes.find(wanted)->exempt);
}

}  // namespace
