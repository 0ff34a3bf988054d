// Unary calls of gRPC as routes, without protobuf and without a socket: what reaches a handler, and what is answered.

#include "server/http2/grpc.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/server/run_handler.hpp"

namespace http2_tests {
namespace {

using namespace server::http2;
using lifecycle::context;
using server::request;
using server::response;
using testing::HasSubstr;
using testing::Not;
namespace http = server::http;

/// What protoc would make, but that its bytes are the text. "!" cannot be parsed, "?" cannot be written.
struct text {
    std::string says;
    bool ParseFromArray(const void* bytes, int size) {
        says.assign(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
        return says != "!";
    }
    bool AppendToString(std::string* to) const {
        to->append(says);
        return says != "?";
    }
};

/// One call of a route.
struct call {
    explicit call(std::string body) : bytes(std::move(body)) {
        asked.method = http::verb::post;
        asked.path = "/some.Service/Method";
        asked.version = 20;
        asked.fields = {{http::field::content_type, "content-type", "application/grpc"}};
    }
    call& with(std::string_view name, std::string_view value) {
        asked.fields.push_back({http::field::unknown, name, value});
        return *this;
    }
    call& of_type(std::string_view type) {
        asked.fields.front().value = type;
        return *this;
    }
    call& by_http1() {
        asked.version = 11;
        return *this;
    }
    response answer(const server::router& routes) {
        asked.body = bytes;
        return run_handler(routes.find(asked)->handle, asked);
    }

    std::string bytes;
    request asked;
};

template <class Handle>
server::router route(Handle handle) {
    server::router made;
    grpc_unary<text>(made, "/some.Service/Method", std::move(handle));
    return made;
}
text twice(const context&, const text& asked) { return {asked.says + asked.says}; }
/// Of one that reaches no handler.
server::router unreached() {
    return route([](const context&, const text&) -> text { throw std::logic_error("it reached the handler"); });
}

std::string status(int code) { return "grpc-status: " + std::to_string(code) + "\r\n"; }

TEST(GrpcUnary, AMessageReachesThePlainHandlerAndItsReplyTheCaller) {
    const auto answer = call(grpc_framed("ab")).answer(route(twice));
    EXPECT_EQ(answer.status, http::status::ok);
    EXPECT_EQ(answer.content_type, "application/grpc");
    EXPECT_EQ(answer.body, std::string("\0\0\0\0\4abab", 9));
    EXPECT_EQ(answer.trailers(), status(0));
    EXPECT_THAT(answer.fields(), Not(HasSubstr("grpc-status")));
}

TEST(GrpcUnary, AnEmptyMessageIsAMessage) {
    EXPECT_EQ(call(grpc_framed("")).answer(route(twice)).trailers(), status(0));
}

TEST(GrpcUnary, ALengthHasFourBytes) {
    const std::string long_one(0x010203, 'a');
    const auto answer =
        call(grpc_framed(long_one)).answer(route([](const context&, const text& same) { return same; }));
    EXPECT_EQ(answer.body.substr(0, 5), std::string("\0\0\1\2\3", 5));
    EXPECT_EQ(answer.body.size(), 0x010203 + 5);
}

TEST(GrpcUnary, ACoroutineIsAHandlerToo) {
    const auto answer =
        call(grpc_framed("ab")).answer(route([](context, const text& asked) -> lifecycle::awaitable<text> {
            auto sleeping = lifecycle::sleep_until({}, lifecycle::clock::now());  // lint: the handler waits
            co_await std::move(sleeping);
            co_return text{asked.says + "!!"};
        }));
    EXPECT_EQ(answer.body, grpc_framed("ab!!"));
    EXPECT_EQ(answer.trailers(), status(0));
}

TEST(GrpcUnary, AHandlerMaySeeTheRequest) {
    const auto answer = call(grpc_framed(""))
                            .with("authorization", "Bearer x")
                            .answer(route([](const context&, const text&, const request& asked) -> text {
                                return {std::string(asked.header("authorization"))};
                            }));
    EXPECT_EQ(answer.body, grpc_framed("Bearer x"));
}

TEST(GrpcUnary, AFailureIsTrailersOnly) {
    const auto refuses = [](const context&, const text& asked) -> grpc_result<text> {
        if (asked.says.empty()) return grpc_failure{grpc_code::invalid_argument, "whom?"};
        return asked;
    };
    const auto answer = call(grpc_framed("")).answer(route(refuses));
    EXPECT_EQ(answer.status, http::status::ok);
    EXPECT_EQ(answer.fields(), status(3) + "grpc-message: whom?\r\n");
    EXPECT_EQ(answer.body, "");
    EXPECT_EQ(answer.trailers(), "");
    EXPECT_EQ(call(grpc_framed("a")).answer(route(refuses)).body, grpc_framed("a"));
}

TEST(GrpcUnary, ACoroutineMayFailToo) {
    const auto answer =
        call(grpc_framed("")).answer(route([](context, const text&) -> lifecycle::awaitable<grpc_result<text>> {
            co_return grpc_failure{grpc_code::not_found, "nobody"};
        }));
    EXPECT_EQ(answer.fields(), status(5) + "grpc-message: nobody\r\n");
}

TEST(GrpcUnary, WhatAFieldCannotHoldIsPercentEncodedInAMessage) {
    EXPECT_EQ(grpc_error(grpc_code::unknown, "100 %\r\nf\xc3\xbcr").fields(),
              status(2) + "grpc-message: 100 %25%0D%0Af%C3%BCr\r\n");
}

TEST(GrpcUnary, WhatTheHandlerThrowsIsLeftToTheServer) {
    EXPECT_THROW(call(grpc_framed("")).answer(unreached()), std::logic_error);
}

TEST(GrpcUnary, WhatCannotBeParsedOrWrittenIsInternal) {
    EXPECT_EQ(call(grpc_framed("!")).answer(unreached()).fields(),
              status(13) + "grpc-message: the message cannot be parsed\r\n");
    const auto answer = call(grpc_framed("?")).answer(route([](const context&, const text& same) { return same; }));
    EXPECT_EQ(answer.fields(), status(13) + "grpc-message: the reply cannot be written\r\n");
}

TEST(GrpcUnary, NoMessageAndSeveralAreUnimplemented) {
    EXPECT_THAT(call("").answer(unreached()).fields(), HasSubstr(status(12)));
    EXPECT_THAT(call(grpc_framed("a") + grpc_framed("b")).answer(unreached()).fields(), HasSubstr(status(12)));
}

TEST(GrpcUnary, BytesThatAreNoMessageAreInternal) {
    for (const auto& bytes : {std::string(4, '\0'), std::string("\0\0\0\0\3ab", 7), std::string("\2\0\0\0\0", 5),
                              std::string("\0\xff\xff\xff\xff_", 6)})
        EXPECT_THAT(call(bytes).answer(unreached()).fields(), HasSubstr(status(13)));
}

TEST(GrpcUnary, ACompressedMessageIsUnimplementedAndSaysWhatIsNot) {
    auto bytes = grpc_framed("zip");
    bytes[0] = '\1';
    const auto fields = std::string(call(bytes).with("grpc-encoding", "gzip").answer(unreached()).fields());
    EXPECT_THAT(fields, HasSubstr(status(12)));
    EXPECT_THAT(fields, HasSubstr("grpc-accept-encoding: identity\r\n"));
}

TEST(GrpcUnary, CompressedByNobodyIsInternal) {
    auto bytes = grpc_framed("zip");
    bytes[0] = '\1';
    EXPECT_THAT(call(bytes).answer(unreached()).fields(), HasSubstr(status(13)));
    EXPECT_THAT(call(bytes).with("grpc-encoding", "identity").answer(unreached()).fields(), HasSubstr(status(13)));
}

TEST(GrpcUnary, AMessageThatIsNotCompressedIsTakenWhateverTheEncoding) {
    EXPECT_EQ(call(grpc_framed("a")).with("grpc-encoding", "gzip").answer(route(twice)).body, grpc_framed("aa"));
}

TEST(GrpcUnary, WhatIsNotGrpcWithProtobufIs415) {
    for (const auto* const type : {"", "text/plain", "application/json", "application/grpc+json",
                                   "application/grpc-web", "application/grpc-web+proto", "application/grpc+protobuf"})
        EXPECT_EQ(call(grpc_framed("")).of_type(type).answer(unreached()).status, http::status::unsupported_media_type)
            << type;
    for (const auto* const type : {"application/grpc", "application/grpc+proto", "application/grpc;a=b"})
        EXPECT_EQ(call(grpc_framed("")).of_type(type).answer(route(twice)).trailers(), status(0)) << type;
}

TEST(GrpcUnary, Http1Is505) {
    EXPECT_EQ(call(grpc_framed("")).by_http1().answer(unreached()).status, http::status::http_version_not_supported);
}

TEST(GrpcUnary, AnEndedContextHasItsStatus) {
    const auto ended = [](lifecycle::cause why) {
        lifecycle::cancel_scope scope;
        scope.cancel(why);
        return grpc_ended(scope.get()).code;
    };
    EXPECT_EQ(ended(lifecycle::cause::deadline), grpc_code::deadline_exceeded);
    EXPECT_EQ(ended(lifecycle::cause::shutdown), grpc_code::unavailable);
    EXPECT_EQ(ended(lifecycle::cause::client_gone), grpc_code::cancelled);
    EXPECT_EQ(ended(lifecycle::cause::cancelled), grpc_code::cancelled);
}

}  // namespace
}  // namespace http2_tests
