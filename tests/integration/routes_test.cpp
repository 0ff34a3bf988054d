// Every route of the application port, asked as a client would.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"

namespace integration {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

TEST(Routes, RootGreetsInPlainText) {
    const service service;
    const auto answer = service.ask(get("/"));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "Hello, QCon!\n");
    EXPECT_THAT(std::string(answer.header("Content-Type")), testing::StartsWith("text/plain"));
    EXPECT_TRUE(answer.has("Date"));
    EXPECT_FALSE(answer.closes());
}

TEST(Routes, LivezAndReadyzAnswerOnBothPorts) {
    const service service;
    for (const char* path : {"/livez", "/readyz"}) {
        EXPECT_EQ(service.ask(get(path)).status, 200) << path;
        EXPECT_EQ(service.ask_debug(get(path)).status, 200) << path;
    }
}

TEST(Routes, HeadIsGetWithoutBody) {
    const service service;
    auto connection = service.connect();
    const auto head = connection.exchange(request("HEAD", "/"), true);
    ASSERT_TRUE(head);
    EXPECT_EQ(head->status, 200);
    EXPECT_EQ(head->header("Content-Length"), "13");
    for (const char* path : {"/slow?ms=1", "/big?bytes=100000", "/livez", "/readyz"}) {
        const auto answer = connection.exchange(request("HEAD", path), true);
        ASSERT_TRUE(answer) << path;
        EXPECT_EQ(answer->status, 200) << path;
    }
    const auto next = connection.exchange(get("/"));  // there is no byte of a body in between
    ASSERT_TRUE(next);
    EXPECT_EQ(next->body, "Hello, QCon!\n");
}

TEST(Routes, OptionsNamesTheMethods) {
    const service service;
    for (const auto& [path, method] : {std::pair{"/", "GET"},
                                       {"/slow", "GET"},
                                       {"/big", "GET"},
                                       {"/echo", "POST"},
                                       {"/events", "POST"},
                                       {"/livez", "GET"},
                                       {"/readyz", "GET"}}) {
        const auto answer = service.ask(request("OPTIONS", path));
        EXPECT_EQ(answer.status / 100, 2) << path;
        EXPECT_THAT(std::string(answer.header("Allow")), HasSubstr(method)) << path;
    }
}

TEST(Routes, AnUnknownPathIs404) {
    const service service;
    for (const char* path : {"/nothing", "/slow/more", "/Big", "//", "/events/"})
        EXPECT_EQ(service.ask(get(path)).status, 404) << path;
}

TEST(Routes, AWrongMethodIs405WithAllow) {
    const service service;
    for (const auto& [method, path] : {std::pair{"POST", "/"},
                                       {"DELETE", "/slow"},
                                       {"PUT", "/big"},
                                       {"GET", "/echo"},
                                       {"GET", "/events"},
                                       {"POST", "/livez"},
                                       {"PATCH", "/readyz"}}) {
        const auto answer = service.ask(request(method, path));
        EXPECT_EQ(answer.status, 405) << method << ' ' << path;
        EXPECT_THAT(std::string(answer.header("Allow")), testing::Not(HasSubstr(method))) << path;
        EXPECT_TRUE(answer.has("Allow")) << path;
    }
}

TEST(Routes, AMissingNegativeOrNonNumericNumberIs400) {
    const service service;
    for (const char* path : {"/slow", "/slow?ms=", "/slow?ms=-1", "/slow?ms=soon", "/slow?ms=1.5", "/slow?ms=600001",
                             "/slow?ms=99999999999999999999", "/big?bytes=-1", "/big?bytes=x",
                             "/big?bytes=", "/big?bytes=1099511627777"}) {
        EXPECT_EQ(service.ask(get(path)).status, 400) << path;
    }
}

TEST(Routes, SlowAnswersAfterTheTimeAndNotBefore) {
    const service service;
    const auto before = clock::now();
    EXPECT_EQ(service.ask(get("/slow?ms=200")).status, 200);
    EXPECT_GE(clock::now() - before, milliseconds(199));
    EXPECT_EQ(service.ask(get("/slow?ms=0")).status, 200);
}

TEST(Routes, SlowHoldsNoThread) {
    const service service({"--app.threads=1"});
    std::vector<client> connections;
    const auto before = clock::now();
    for (int i = 0; i < 50; ++i) {
        connections.push_back(service.connect());
        connections.back().send(get("/slow?ms=300"));
    }
    for (auto& connection : connections) {
        const auto answer = connection.receive();
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 200);
    }
    EXPECT_TRUE(support::in_time(clock::now() - before, milliseconds(5'000)));
}

TEST(Routes, BigStreamsExactlyTheBytesAskedFor) {
    const service service;
    auto connection = service.connect();
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{65'537}, std::size_t{20'000'000}}) {
        const auto answer = connection.exchange(get("/big?bytes=" + std::to_string(bytes)));
        ASSERT_TRUE(answer) << bytes;
        EXPECT_EQ(answer->status, 200);
        EXPECT_EQ(answer->body.size(), bytes);
    }
    EXPECT_EQ(service.ask(get("/big")).body.size(), 8U * 1024 * 1024);
}

TEST(Routes, ATebibyteIsStreamedInBoundedMemory) {
    service service;
    auto connection = service.connect(64 * 1024);
    connection.send(get("/big?bytes=1099511627776"));
    connection.receive_some(16 * 1024 * 1024);
    connection.reset();
    const auto status = support::read_file("/proc/" + std::to_string(service.process().pid()) + "/statm");
    const auto pages = std::stoul(status.substr(status.find(' ')));
    EXPECT_LT(pages, 256U * 1024 * 1024 / 4096) << "resident pages";
    EXPECT_EQ(service.ask(get("/")).status, 200);
}

TEST(Routes, EchoReturnsTheBody) {
    const service service;
    auto connection = service.connect();
    for (const std::size_t size : {0U, 1U, 5U, 100'000U, 1'048'576U}) {
        const std::string body(size, 'e');
        const auto answer = connection.exchange(request("POST", "/echo", {}, body));
        ASSERT_TRUE(answer) << size;
        EXPECT_EQ(answer->status, 200);
        EXPECT_EQ(answer->body, body);
    }
}

TEST(Routes, EchoReturnsAChunkedBodyThatComesInPieces) {
    const service service;
    auto connection = service.connect();
    const std::string head = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (const char piece : head + "5\r\nhello\r\n1;name=value\r\n \r\n5\r\nworld\r\n0\r\nTrailer: yes\r\n\r\n")
        ASSERT_TRUE(connection.send({&piece, 1}));
    const auto answer = connection.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, "hello world");
    const auto next = connection.exchange(get("/"));
    ASSERT_TRUE(next) << "the connection is not usable after a chunked body";
}

TEST(Routes, ExpectContinueIsAnsweredBeforeTheBody) {
    const service service;
    auto connection = service.connect();
    connection.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    const auto interim = connection.receive();
    ASSERT_TRUE(interim);
    EXPECT_EQ(interim->status, 100);
    const auto answer = connection.exchange("body");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, "body");
}

TEST(Routes, UpgradeIsIgnored) {
    const service service;
    const auto answer = service.ask(get("/", "Connection: upgrade\r\nUpgrade: websocket\r\n"));
    EXPECT_EQ(answer.status, 200);
}

TEST(Routes, PipelinedRequestsAreAnsweredInOrder) {
    const service service;
    auto connection = service.connect();
    std::string all = get("/slow?ms=100");
    for (int i = 0; i < 50; ++i) all += request("POST", "/echo", {}, "number " + std::to_string(i));
    ASSERT_TRUE(connection.send(all));
    ASSERT_TRUE(connection.receive());
    for (int i = 0; i < 50; ++i) {
        const auto answer = connection.receive();
        ASSERT_TRUE(answer) << i;
        EXPECT_EQ(answer->body, "number " + std::to_string(i));
        EXPECT_FALSE(answer->closes());
    }
}

TEST(Routes, ConnectionCloseOfTheClientIsObeyed) {
    const service service;
    auto connection = service.connect();
    const auto answer = connection.exchange(get("/", "Connection: close\r\n"));
    ASSERT_TRUE(answer);
    EXPECT_TRUE(answer->closes());
    EXPECT_TRUE(connection.closes_silently(milliseconds(5'000)));
}

TEST(Routes, Http10IsAnsweredAndClosed) {
    const service service;
    auto connection = service.connect();
    const auto answer = connection.exchange("GET / HTTP/1.0\r\n\r\n");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
    EXPECT_TRUE(connection.closes_silently(milliseconds(5'000)));
}

TEST(Routes, ADeadlineOfTheRequestIs504) {
    const service service({"--app.request_timeout=10s"});
    const auto before = clock::now();
    EXPECT_EQ(service.ask(get("/slow?ms=60000", "X-Request-Timeout: 100ms\r\n")).status, 504);
    EXPECT_TRUE(support::in_time(clock::now() - before, milliseconds(3'000)));
    EXPECT_EQ(service.ask(get("/slow?ms=10", "X-Request-Timeout: 5s\r\n")).status, 200);
}

TEST(Routes, XRequestTimeoutNeverLengthensADeadline) {
    const service service({"--app.request_timeout=200ms"});
    const auto before = clock::now();
    EXPECT_EQ(service.ask(get("/slow?ms=60000", "X-Request-Timeout: 30s\r\n")).status, 504);
    EXPECT_TRUE(support::in_time(clock::now() - before, milliseconds(3'000)));
}

TEST(Routes, AClientThatGoesEndsItsHandler) {
    service service;
    auto half = service.connect();
    half.send(get("/slow?ms=60000"));
    ASSERT_TRUE(service.handles("/slow"));
    half.finish_sending();
    half.receive_to_end();
    EXPECT_NE(half.ended(), client::ending::late);
    auto gone = service.connect();
    gone.send(get("/slow?ms=60000"));
    ASSERT_TRUE(service.handles("/slow"));
    gone.reset();
    const auto when = service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_TRUE(support::in_time(service.lasted(when), milliseconds(3'000)));
}

TEST(Events, An201NamesTheEventAndTheSinkGetsIt) {
    service service;
    const auto made = service.ask(request("POST", "/events", {}, "something \"happened\"\n"));
    ASSERT_EQ(made.status, 201);
    const auto id = std::string(boost::json::parse(made.body).as_object().at("id").as_string());
    EXPECT_THAT(id, MatchesRegex("[A-Za-z0-9._:-]{1,128}"));
    const auto named = service.ask(request("POST", "/events", "Idempotency-Key: Order:7.a_b-c\r\n", ""));
    ASSERT_EQ(named.status, 201);
    EXPECT_EQ(boost::json::parse(named.body).as_object().at("id").as_string(), "Order:7.a_b-c");

    service.process().signal(SIGTERM);
    ASSERT_EQ(service.exit_code(), 0);
    const auto lines = service.events();
    const auto first = boost::json::parse(lines.substr(0, lines.find('\n'))).as_object();
    EXPECT_EQ(first.at("id").as_string(), id.c_str());
    EXPECT_EQ(first.at("data").as_string(), "something \"happened\"\n");
    EXPECT_THAT(std::string(first.at("time").as_string()),
                MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z"));
    EXPECT_THAT(lines, HasSubstr("\"Order:7.a_b-c\""));
    const auto report = service.report();
    EXPECT_EQ(number(report, "events", "accepted"), 2);
    EXPECT_EQ(number(report, "events", "delivered"), 2);
}

TEST(Events, AKeyInQuotesIsTheSameKeyWithout) {
    service service;
    const auto quoted = service.ask(request("POST", "/events", "Idempotency-Key: \"8e03978e-40d5\"\r\n", "x"));
    ASSERT_EQ(quoted.status, 201);
    EXPECT_EQ(boost::json::parse(quoted.body).as_object().at("id").as_string(), "8e03978e-40d5");
    for (const auto* key : {"\"", "\"\"", "\"a", "a\"", "\"a b\"", "\"\"a\"\""})
        EXPECT_EQ(service.ask(request("POST", "/events", "Idempotency-Key: " + std::string(key) + "\r\n", "x")).status,
                  400)
            << key;
}

TEST(Events, ABodyInACodingIs415AndNotTakenForText) {
    const service service;
    const auto refused = service.ask(request("POST", "/events", "Content-Encoding: gzip\r\n", "\x1f\x8b\x08"));
    EXPECT_EQ(refused.status, 415);
    EXPECT_EQ(refused.header("Accept-Encoding"), "identity");
    EXPECT_EQ(service.ask(request("POST", "/echo", "Content-Encoding: gzip\r\n", "plain")).status, 415);
    EXPECT_EQ(service.ask(request("POST", "/events", "Content-Encoding: identity\r\n", "x")).status, 201);
}

TEST(Events, TwinsAreAcceptedBoth) {
    service service;
    for (int i = 0; i < 2; ++i)
        EXPECT_EQ(service.ask(request("POST", "/events", "Idempotency-Key: twin\r\n", "x")).status, 201);
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_EQ(number(service.report(), "events", "accepted"), 2);
}

TEST(Events, AWrongKeyOrBodyIs400) {
    const service service;
    for (const std::string& key :
         {std::string("with space"), std::string(129, 'k'), std::string("slash/"), std::string()})
        EXPECT_EQ(service.ask(request("POST", "/events", "Idempotency-Key: " + key + "\r\n", "x")).status, 400) << key;
    EXPECT_EQ(service.ask(request("POST", "/events", "Idempotency-Key: " + std::string(128, 'k') + "\r\n", "x")).status,
              201);
    EXPECT_EQ(service.ask(request("POST", "/events", {}, "\xff\xfe")).status, 400);
    EXPECT_EQ(service
                  .ask(request("POST", "/events", {},
                               "Gr\xc3\xbc\xc3\x9f"
                               "e"))
                  .status,
              201);
}

}  // namespace
}  // namespace integration
