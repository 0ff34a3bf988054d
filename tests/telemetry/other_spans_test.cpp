#include "cmd/service/telemetry/other_spans.hpp"

#include <gmock/gmock.h>

#include "cmd/service/telemetry/request_body.hpp"
#include "tests/telemetry/decode.hpp"
#include "tests/telemetry/joined.hpp"

namespace telemetry {
namespace {

using testing::Contains;
using testing::Key;
using testing::Not;
using testing::Pair;

constexpr std::string_view parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";

struct scene {
    explicit scene(sampler sampling = {}, std::size_t capacity = 10) : others(sampling, capacity) {}

    std::vector<otlp::span> spans() {
        batch all;
        others.ring().take(all.bytes, all.ends, 1000, 1 << 20);
        if (all.empty()) return {};
        return otlp::read_traces(joined(envelope(fields{{"service.name", "x"}}), all.bytes)).spans;
    }

    other_spans others;
    server::trace_context carried;
    server::observed_call call{
        .method = "GET", .scheme = "https", .host = "stock", .path = "/items/7?sig=x", .port = 443};
};

TEST(CallSpans, areChildrenOfTheRequestAndWhatTheUpstreamIsTold) {
    scene s;
    s.carried.parent = parent;
    s.others.begin(s.call, s.carried);
    s.call.status = 200;
    s.others.end(s.call);
    const auto all = s.spans();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].name, "GET");
    EXPECT_EQ(all[0].kind, 3U) << "CLIENT";
    EXPECT_EQ(all[0].trace, s.carried.id());
    EXPECT_EQ(all[0].parent, "b7ad6b7169203331");
    EXPECT_EQ(all[0].id, s.carried.span()) << "what goes along";
    EXPECT_EQ(s.carried.parent.substr(52), "-03");
    EXPECT_EQ(all[0].flags, 0x103U) << "the parent is not remote";
    EXPECT_EQ(all[0].status, 0U);
    EXPECT_EQ(all[0].values, (otlp::attributes{{"http.request.method", "GET"},
                                               {"server.address", "stock"},
                                               {"server.port", "443"},
                                               {"url.full", "https://stock:443/items/7?sig=REDACTED"},
                                               {"network.protocol.version", "1.1"},
                                               {"http.response.status_code", "200"}}));
}

TEST(CallSpans, sayWhatHasFailed) {
    scene s;
    s.others.begin(s.call, s.carried);
    s.call.error = boost::system::errc::make_error_code(boost::system::errc::timed_out);
    s.others.end(s.call);
    s.others.begin(s.call, s.carried);
    s.call.error = {};
    s.call.status = 404;
    s.others.end(s.call);
    const auto all = s.spans();
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].parent, "") << "of nobody: a trace begins";
    EXPECT_EQ(all[0].status, 2U);
    EXPECT_THAT(all[0].values, Not(Contains(Key("http.response.status_code"))));
    EXPECT_THAT(all[0].values, Contains(Key("error.type")));
    EXPECT_EQ(all[1].status, 2U) << "4xx is a failure of a client";
    EXPECT_THAT(all[1].values, Contains(Pair("error.type", "404")));
}

TEST(CallSpans, areNotRecordedWhereTheTraceIsNotSampled) {
    scene s;
    s.carried.parent = std::string(parent.substr(0, 53)) + "02";
    s.others.begin(s.call, s.carried);
    s.others.end(s.call);
    EXPECT_TRUE(s.spans().empty());
    EXPECT_EQ(s.carried.parent.substr(52), "-02");
}

TEST(CallSpans, areHandedOnWithoutBeingRecordedWhereThereIsNoPlaceForTraces) {
    scene s({}, 0);
    s.others.begin(s.call, s.carried);
    s.others.end(s.call);
    s.others.delivered("file", 1, lifecycle::clock::now(), {});
    EXPECT_EQ(s.others.ring().dropped() + s.others.ring().written(), 0U);
    EXPECT_EQ(s.carried.parent.size(), 55U);
}

}  // namespace
}  // namespace telemetry
