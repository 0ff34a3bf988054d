// Two unary calls of gRPC. The marked regions are the code blocks of docs/http2.md.

#include "greeter.hpp"

#include <chrono>
#include <string>
#include <utility>

#include "proto/greeter.pb.h"
#include "server/http2/grpc.hpp"

using greeter::v1::GreetReply;
using greeter::v1::GreetRequest;
using lifecycle::context;
namespace http2 = server::http2;

namespace {

// [handler]
/// greeter.v1.Greeter/Greet
http2::grpc_result<GreetReply> greet(const context&, const GreetRequest& asked) {
    if (asked.name().empty()) return http2::grpc_failure{http2::grpc_code::invalid_argument, "name: whom to greet"};
    GreetReply reply;
    reply.set_text("Hello, " + asked.name() + "!");
    return reply;
}
// [/handler]

// [waiting handler]
/// greeter.v1.Greeter/GreetLater: holds no thread, and ends early with its context.
lifecycle::awaitable<http2::grpc_result<GreetReply>> greet_later(context context, const GreetRequest& asked) {
    const auto until = lifecycle::clock::now() + std::chrono::milliseconds(asked.after_ms());
    auto sleeping = lifecycle::sleep_until(context, until);  // lint: the handler waits, not the test
    const bool slept = co_await std::move(sleeping);
    if (!slept) co_return http2::grpc_ended(context);
    co_return greet(context, asked);
}
// [/waiting handler]

}  // namespace

// [routes]
void add_greeter(server::router& routes) {
    http2::grpc_unary<GreetRequest>(routes, "/greeter.v1.Greeter/Greet", greet);
    http2::grpc_unary<GreetRequest>(routes, "/greeter.v1.Greeter/GreetLater", greet_later);
}
// [/routes]
