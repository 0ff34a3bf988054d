#include "cmd/service/telemetry/receiver.hpp"

#include <gmock/gmock.h>

#include "cmd/service/telemetry/request_body.hpp"
#include "cmd/service/telemetry/wire.hpp"
#include "tests/telemetry/collector.hpp"
#include "tests/telemetry/joined.hpp"
#include "tracker/http_connection/http_connection.hpp"

namespace telemetry {
namespace {

using lifecycle::clock;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using namespace std::chrono_literals;

std::string request_of(std::size_t spans) {
    std::string bytes(1 << 20, '\0');
    wire_writer to(bytes.data(), bytes.data() + bytes.size());
    for (std::size_t nth = 1; nth <= spans; ++nth) {
        const auto span = to.open(2);
        to.id(1, nth, nth);
        to.id(2, nth);
        to.bytes(5, "n");
        to.number(6, 2);
        to.fixed64(7, 1'800'000'000'000'000'000);
        to.fixed64(8, 1'800'000'000'000'000'000);
        to.close(span);
    }
    return joined(envelope(fields{{"service.name", "x"}}), to.view());
}

tracker::deadline_function never() {
    return [] { return clock::time_point::max(); };
}

TEST(OtlpReceiver, isSpokenToAsTheSpecificationSays) {
    for (const bool gzip : {false, true}) {
        collector to;
        const auto post =
            receiver({.url = to.url() + "/v1/traces", .headers = {{"api-key", "k"}}, .gzip = gzip}, never());
        EXPECT_EQ(post({request_of(3)}).status, 200U);
        EXPECT_EQ(post({request_of(400)}).status, 200U);
        EXPECT_EQ(to.spans().size(), 403U) << "counted, for 200 says little";
        EXPECT_THAT(to.faults(), IsEmpty());
        EXPECT_EQ(to.server().accepted(), 1U) << "one connection";
        EXPECT_EQ(to.heads().front().field("api-key"), "k");
        EXPECT_EQ(to.heads().front().field("Content-Encoding"), gzip ? "gzip" : "");
    }
}

TEST(OtlpReceiver, tellsWhenToComeBackAndWhatWasSaid) {
    collector to([](const auto&, const auto&, std::size_t) { return answer_of(503, "Retry-After: 7\r\n", "full"); });
    const auto answer = receiver({.url = to.url() + "/v1/traces"}, never())({request_of(1)});
    EXPECT_EQ(answer.status, 503U);
    EXPECT_EQ(answer.retry_after, 7s);
    EXPECT_EQ(answer.body, "full");
    EXPECT_THAT(to.spans(), IsEmpty());
}

TEST(OtlpReceiver, repeatsOnceOnAFreshConnectionWhatTheOldOneHasNotTaken) {
    collector to([](const auto&, const auto&, std::size_t nth) -> std::optional<support::scripted_upstream::reply> {
        if (nth == 2)
            return support::scripted_upstream::reply{.bytes = {},
                                                     .after = support::scripted_upstream::reply::then::close};
        return std::nullopt;
    });
    const auto post = receiver({.url = to.url() + "/v1/traces"}, never());
    EXPECT_EQ(post({request_of(1)}).status, 200U);
    EXPECT_EQ(post({request_of(2)}).status, 200U) << "by the second connection";
    EXPECT_EQ(to.spans().size(), 3U);
    EXPECT_EQ(to.server().accepted(), 2U);
}

TEST(OtlpReceiver, followsNobodyElsewhere) {
    collector to([](const auto&, const auto&, std::size_t) { return answer_of(307, "Location: /v1/traces\r\n"); });
    EXPECT_EQ(receiver({.url = to.url() + "/v1/traces"}, never())({request_of(1)}).status, 307U);
    EXPECT_EQ(to.requests(), 1U);
}

TEST(OtlpReceiver, isGivenUpWhenItIsSilentForTheTimeout) {
    collector to([](const auto&, const auto&, std::size_t) {
        return support::scripted_upstream::reply{.bytes = {}, .after = support::scripted_upstream::reply::then::hang};
    });
    const auto answer = receiver({.url = to.url() + "/v1/traces", .timeout = 50ms}, never())({request_of(1)});
    EXPECT_EQ(answer.status, 0U);
    EXPECT_THAT(answer.error, HasSubstr("no time is left"));
}

TEST(OtlpReceiver, isGivenUpWhenTheStopWantsIt) {
    collector to([](const auto&, const auto&, std::size_t) {
        return support::scripted_upstream::reply{.bytes = {}, .after = support::scripted_upstream::reply::then::hang};
    });
    const auto deadline = [&] { return to.requests() > 0 ? clock::time_point() : clock::time_point::max(); };
    const auto answer = receiver({.url = to.url() + "/v1/traces", .timeout = 1h}, deadline)({request_of(1)});
    EXPECT_THAT(answer.error, HasSubstr("no time is left"));
}

TEST(OtlpReceiver, isLeftAndTriedAgainWhenItAnswersNonsense) {
    for (const char* nonsense : {"SSH-2.0-OpenSSH_9.2\r\n\r\n", "\x15\x03\x03 an alert\r\n\r\n",
                                 "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"}) {
        collector to(
            [&](const auto&, const auto&, std::size_t nth) -> std::optional<support::scripted_upstream::reply> {
                if (nth == 1) return support::scripted_upstream::reply{.bytes = nonsense};
                return std::nullopt;
            });
        const auto post = receiver({.url = to.url() + "/v1/traces"}, never());
        const auto answer = post({request_of(1)});
        EXPECT_EQ(answer.status, 0U) << nonsense;
        EXPECT_EQ(verdict_on(answer), verdict::later) << nonsense;
        EXPECT_THAT(answer.error, AllOf(HasSubstr("receive"), Not(HasSubstr("\n")))) << nonsense;
        EXPECT_EQ(post({request_of(1)}).status, 200U) << nonsense;
        EXPECT_EQ(to.server().accepted(), 2U) << "the first connection is closed: " << nonsense;
    }
}

TEST(OtlpReceiver, closesAConnectionThatHasRestedBeforeTheCollectorDoes) {
    EXPECT_LT(longest_rest, 60s);
    collector to;
    tracker::http_address address;
    address.url = to.url() + "/v1/traces";
    address.fields = {{"Content-Type", "application/x-protobuf"}, {"User-Agent", "OTel-OTLP-Exporter-x"}};
    address.longest_rest = 0ms;
    tracker::http_connection connection(address, never(), [](const std::string& host) { return std::vector{host}; });
    for (int nth = 0; nth < 3; ++nth) EXPECT_EQ(connection.exchange(request_of(1)).result_int(), 200U);
    EXPECT_EQ(to.server().accepted(), 3U);
    EXPECT_THAT(to.faults(), IsEmpty());
}

TEST(OtlpReceiver, failsInOneLineWhereNobodyListens) {
    std::string url;
    {
        collector gone;
        url = gone.url();
    }
    const auto answer = receiver({.url = url + "/v1/traces"}, never())({request_of(1)});
    EXPECT_EQ(answer.status, 0U);
    EXPECT_THAT(answer.error, HasSubstr("refused"));
}

}  // namespace
}  // namespace telemetry
