// The real binary in HTTP/2 over TLS: how it is chosen, and how a stop ends such connections.

#include <signal.h>

#include <functional>

#include "tests/http2/peer.hpp"
#include "tests/tls_service/serving.hpp"

namespace http2_tls_service {
namespace {

using namespace std::chrono_literals;
using http2_tests::peer;
using integration::faults;
using support::get;
using testing::ElementsAre;
using tls_service::service;

const std::string both = "\x02h2\x08http/1.1", only_http1 = "\x08http/1.1";

struct Http2OverTls : tls_service::TlsService {
    std::unique_ptr<tls_tests::client> connect(const service& to, const std::string& protocols) const {
        auto how = trusting();
        how.protocols = protocols;
        auto made = dial(to, how);
        EXPECT_TRUE(made->connect()) << made->why();
        return made;
    }
};

/// What `client` wants to say goes out, and it hears what comes, until that is so; false: it is not, in time.
bool until(peer& client, tls_tests::client& through, const std::function<bool()>& so) {
    std::size_t heard = through.seen().size();
    return support::eventually([&] {
        if (const auto out = client.take(); !out.empty() && !through.ended()) through.send_all(out);
        while (through.read() == tls_tests::client::step::done) {}
        client.receive(std::string_view(through.seen()).substr(heard));
        heard = through.seen().size();
        return so();
    });
}

bool answered(peer& client, tls_tests::client& through, std::int32_t id) {
    return until(client, through, [&] { return client.answers[id].ended; });
}

constexpr peer::goaway notice{0x7fff'ffff, NGHTTP2_NO_ERROR};

TEST_F(Http2OverTls, IsSpokenWithAClientThatOffersIt) {
    const service service(how());
    const auto through = connect(service, both);
    EXPECT_EQ(through->protocol(), "h2");
    peer client;
    const auto id = client.get("/");
    ASSERT_TRUE(answered(client, *through, id)) << service.err();
    EXPECT_EQ(client.answers[id].body, "Hello, QCon!\n");
    for (const auto& protocols : {only_http1, std::string()}) {
        const auto other = connect(service, protocols);
        const auto answer = other->exchange(get("/"));
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 200);
    }
}

TEST_F(Http2OverTls, WithoutTheSettingItIsNotOffered) {
    const service service(how({"--app.http2=false"}));
    EXPECT_EQ(connect(service, both)->protocol(), "http/1.1");
}

TEST_F(Http2OverTls, AStopTellsInTwoStepsAndThenByCloseNotify) {
    service service(how());
    const auto through = connect(service, both);
    peer client;
    const auto first = client.get("/"), slow = client.get("/slow?ms=300");
    ASSERT_TRUE(answered(client, *through, first));
    service.begin_stop(SIGTERM);
    ASSERT_TRUE(until(client, *through, [&] { return through->ended(); }));
    EXPECT_EQ(client.answers[slow].status, 200);
    EXPECT_THAT(client.goaways, ElementsAre(notice, peer::goaway{slow, NGHTTP2_NO_ERROR}));
    EXPECT_TRUE(through->told_of_end());
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(faults(service.report()), "");
}

/// A JVM that has just begun loads classes for longer than the grace between its handshake and its preface.
TEST_F(Http2OverTls, AClientThatSendsItsFirstBytesAfterTheIdleGraceIsServed) {
    service service(how({"--shutdown.idle_grace=100ms"}));
    const auto through = connect(service, both);
    service.begin_stop(SIGTERM);
    const auto began = support::clock::now();
    support::eventually([&] { return support::clock::now() > began + 600ms; });
    peer client;
    const auto id = client.get("/");
    EXPECT_TRUE(answered(client, *through, id)) << through->why() << '\n' << service.err();
    EXPECT_TRUE(until(client, *through, [&] { return through->ended(); }));
    EXPECT_EQ(client.answers[id].status, 200);
    EXPECT_THAT(client.goaways, ElementsAre(notice, peer::goaway{id, NGHTTP2_NO_ERROR}));
    EXPECT_TRUE(through->told_of_end());
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(faults(service.report()), "");
}

/// Unlike in clear, its protocol is known.
TEST_F(Http2OverTls, AClientThatHasSentNothingIsToldToo) {
    service service(how({"--shutdown.idle_grace=200ms", "--app.header_timeout=1s"}));
    const auto through = connect(service, both);
    service.begin_stop(SIGTERM);
    peer client;
    client.receive(through->receive_to_end());  // it is held up, and says nothing until then
    EXPECT_THAT(client.goaways, ElementsAre(notice, peer::goaway{0, NGHTTP2_NO_ERROR}));
    EXPECT_TRUE(through->told_of_end());
    EXPECT_EQ(service.exit_code(), 0) << service.err();
}

}  // namespace
}  // namespace http2_tls_service
