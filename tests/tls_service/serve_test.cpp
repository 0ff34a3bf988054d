// What a client of the app port has with a certificate, and what a start says of a bad one.

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/tls_service/serving.hpp"

namespace tls_service {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST_F(TlsService, AnswersOverTlsOnKeptConnections) {
    const service service(how());
    const auto client = connect(service);
    for (int nth = 0; nth < 3; ++nth) {
        const auto answer = client->exchange(get("/"));
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 200);
        EXPECT_FALSE(answer->closes());
    }
    EXPECT_EQ(metric(service, "tls_handshakes_total{server=\"app\",version=\"1.3\",resumed=\"false\"}"), 1);
}

TEST_F(TlsService, PipelinedRequestsInOneRecordAndInManyAreAllAnswered) {
    const service service(how());
    const auto client = connect(service);
    std::string many;
    for (int nth = 0; nth < 300; ++nth) many += get("/");  // more than a record and than the room of a connection
    ASSERT_TRUE(client->send_all(many));
    for (int nth = 0; nth < 300; ++nth) {
        const auto answer = client->receive();
        ASSERT_TRUE(answer) << "the answer to request " << nth;
        EXPECT_EQ(answer->status, 200);
    }
}

TEST_F(TlsService, LargeBodiesGoBothWays) {
    const service service(how());
    const auto client = connect(service);
    const std::string body(1'000'000, 'b');
    const auto echoed = client->exchange(support::request("POST", "/echo", "", body));
    ASSERT_TRUE(echoed);
    EXPECT_EQ(echoed->body, body);
    const auto big = client->exchange(get("/big?bytes=5000000"));
    ASSERT_TRUE(big);
    EXPECT_EQ(big->body.size(), 5'000'000U);
}

TEST_F(TlsService, ABodyWithoutALengthEndsWithCloseNotify) {
    const service service(how());
    const auto client = connect(service);
    ASSERT_TRUE(client->send_all("GET /big?bytes=3000000 HTTP/1.0\r\n\r\n"));
    const auto all = client->receive_to_end();
    EXPECT_GT(all.size(), 3'000'000U);
    EXPECT_TRUE(client->told_of_end());
}

TEST_F(TlsService, AnAnswerThatSaysCloseEndsWithCloseNotify) {
    const service service(how());
    const auto client = connect(service);
    ASSERT_TRUE(client->exchange(get("/", "Connection: close\r\n")));
    client->receive_to_end();
    EXPECT_TRUE(client->told_of_end());
}

TEST_F(TlsService, ARequestThatTricklesInPiecesOfARecordIsAnswered) {
    const service service(how());
    const auto client = connect(service);
    int both[2] = {-1, -1};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, both), 0);
    SSL_set_wfd(client->ssl(), both[0]);
    const auto asked = get("/");
    ASSERT_GT(SSL_write(client->ssl(), asked.data(), static_cast<int>(asked.size())), 0);
    char record[512];
    const auto size = ::recv(both[1], record, sizeof record, 0);
    for (ssize_t at = 0; at < size; ++at) ASSERT_EQ(::send(client->socket(), record + at, 1, MSG_NOSIGNAL), 1);
    const auto answer = client->receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
}

TEST_F(TlsService, HttpInClearIsAnsweredInClear) {
    const service service(how());
    const auto answer = service.ask(get("/"));
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(answer.body, "This port speaks TLS: ask for https, not http.\n");
    EXPECT_TRUE(answer.closes());
    EXPECT_TRUE(service.logs("sends looks like HTTP in clear, which is not spoken here"));
    EXPECT_EQ(metric(service, "tls_handshake_failures_total{server=\"app\",reason=\"clear_text\"}"), 1);
}

TEST_F(TlsService, AHandshakeThatLastsTooLongIsCut) {
    const service service(how({"--app.header_timeout=500ms"}));
    const auto silent = dial(service);
    std::vector<std::unique_ptr<tls_tests::client>>
        halves;  // several: on a machine that stands still a hello may be late
    EXPECT_TRUE(eventually([&] {
        if (halves.size() < 50) {
            halves.push_back(dial(service));
            halves.back()->say_hello();
        }
        return metric(service, "tls_handshake_failures_total{server=\"app\",reason=\"cut\"}") > 0;
    }));
    EXPECT_TRUE(silent->readable(5s)) << "and so is who says nothing";
}

TEST_F(TlsService, WithoutDescriptorsClientsAreToldInTermsOfTls) {
    service service(how());
    std::size_t open = 0;
    for ([[maybe_unused]] const auto& each :
         std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", service.process().pid())))
        ++open;
    const rlimit few = {open + 8, open + 8};
    ASSERT_EQ(::prlimit(service.process().pid(), RLIMIT_NOFILE, &few, nullptr), 0);
    int served = 0, refused = 0;
    std::vector<std::unique_ptr<tls_tests::client>> crowd;
    for (int nth = 0; nth < 20; ++nth) {
        crowd.push_back(dial(service));
        if (crowd.back()->connect()) {
            ++served;
        } else {
            ++refused;
            EXPECT_THAT(crowd.back()->why(), HasSubstr("alert internal error"));
        }
    }
    EXPECT_GT(served, 0);
    EXPECT_GT(refused, 0);
}

TEST_F(TlsService, ACrowdOfHandshakesIsServed) {
    const service service(how({"--app.threads=1"}));
    std::vector<std::unique_ptr<tls_tests::client>> crowd;
    for (int nth = 0; nth < 100; ++nth) {
        crowd.push_back(dial(service));
        crowd.back()->say_hello();
    }
    for (auto& client : crowd) {
        ASSERT_TRUE(client->connect()) << client->why();
        const auto answer = client->exchange(get("/"));
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 200);
    }
}

TEST_F(TlsService, TheClientsCertificateIsInTheAccessLog) {
    support::write_file(path("ca.pem"), ours.certificate());
    const service service(how({"--app.tls_client_ca=" + path("ca.pem"), "--log.access=true"}));
    const auto shown = ours.issue({.subject = "some client", .names = {}});
    auto wish = trusting();
    wish.certificate = shown.certificate;
    wish.key = shown.key;
    const auto client = dial(service, wish);
    ASSERT_TRUE(client->connect());
    ASSERT_TRUE(client->exchange(get("/")));
    EXPECT_TRUE(service.logs(" subject CN=some client")) << service.err();
    const auto stranger = dial(service);
    stranger->connect();
    EXPECT_FALSE(stranger->exchange(get("/")));
    EXPECT_TRUE(service.logs("no TLS handshake with 127.0.0.1: the client has shown no certificate")) << service.err();
}

TEST_F(TlsService, SessionsAreResumedAcrossARestartWithATicketKey) {
    support::write_file(path("ticket"), std::string(80, 't'));
    const std::vector<std::string> flags = {"--app.tls_ticket_key=" + path("ticket")};
    std::unique_ptr<tls_tests::client> first;
    {
        const service before(how(flags));
        first = connect(before);
        ASSERT_TRUE(first->exchange(get("/")));
        ASSERT_EQ(first->tickets(), 1);
    }
    const service after(how(flags));
    auto wish = trusting();
    wish.session = first->ticket();
    const auto second = dial(after, wish);
    ASSERT_TRUE(second->connect());
    EXPECT_TRUE(second->resumed());
}

// ── bad settings ────────────────────────────────────────────────────────────────────────────────

struct TlsSettings : TlsService {
    void SetUp() override {
        authority::write(folder.path(), "b", ours.issue());
        authority::write(folder.path(), "old", ours.issue({.from = -48h, .until = -24h}));
    }
    /// Of a start, and of --check-config.
    static void expect_fault(const std::vector<std::string>& flags, const std::string& line) {
        for (const bool check : {false, true}) {
            auto all = flags;
            if (check) all.emplace_back("--check-config");
            const auto run = integration::run_to_end(all);
            EXPECT_EQ(run.code, 1) << run.err;
            EXPECT_THAT(run.err, HasSubstr(line));
            EXPECT_EQ(run.err_lines, 1U) << run.err;
        }
    }
};

TEST_F(TlsSettings, AKeyThatDoesNotFitEndsTheStart) {
    expect_fault({"--app.tls_certificate=" + path("a.crt"), "--app.tls_key=" + path("b.key")},
                 fmt::format("app.tls_key = [\"{}\"] (--app.tls_key): the key in {} does not fit the certificate of "
                             "CN=localhost in {}",
                             path("b.key"), path("b.key"), path("a.crt")));
}

TEST_F(TlsSettings, ListsOfUnequalLengthEndTheStart) {
    expect_fault({"--app.tls_certificate=" + path("a.crt") + "," + path("b.crt"), "--app.tls_key=" + path("a.key")},
                 "does not fit app.tls_certificate = ");
}

TEST_F(TlsSettings, AnExpiredCertificateEndsTheStart) {
    expect_fault({"--app.tls_certificate=" + path("old.crt"), "--app.tls_key=" + path("old.key")},
                 fmt::format("app.tls_certificate = [\"{}\"] (--app.tls_certificate): the certificate of CN=localhost "
                             "in {} has expired, at ",
                             path("old.crt"), path("old.crt")));
}

TEST_F(TlsSettings, WhatIsNoPemEndsTheStart) {
    support::write_file(path("a.crt"), "\x30\x82");
    expect_fault({"--app.tls_certificate=" + path("a.crt"), "--app.tls_key=" + path("a.key")},
                 "a.crt holds no certificate: allowed is a PEM file of certificates");
}

TEST_F(TlsSettings, AMissingFileEndsTheStart) {
    expect_fault({"--app.tls_certificate=" + path("a.crt"), "--app.tls_key=" + path("a.key"),
                  "--app.tls_client_ca=" + path("none.pem")},
                 "app.tls_client_ca = \"" + path("none.pem") + "\" (--app.tls_client_ca): " + path("none.pem") +
                     " cannot be read: No such file or directory: allowed is ");
}

TEST_F(TlsSettings, AnotherVersionEndsTheStart) { expect_fault({"--app.tls_min_version=1.1"}, "one of 1.2, 1.3"); }

// ── new certificates ────────────────────────────────────────────────────────────────────────────

TEST_F(TlsService, SighupPutsANewCertificateInForceAndOldConnectionsStay) {
    service service(how());
    const auto old = connect(service);
    write("renewed");
    service.process().signal(SIGHUP);
    EXPECT_TRUE(eventually([&] { return connect(service)->subject() == "renewed"; }));
    EXPECT_TRUE(old->exchange(get("/")));
    support::write_file(path("a.key"), "nothing");
    service.process().signal(SIGHUP);
    EXPECT_TRUE(service.logs("app: the certificates stay as they are: app.tls_key = ")) << service.err();
    EXPECT_EQ(connect(service)->subject(), "renewed");
}

TEST_F(TlsService, AChangeOfTheFilesIsSeenWithoutASignal) {
    const service service(how());
    write("renewed");
    EXPECT_TRUE(eventually([&] { return connect(service)->subject() == "renewed"; }));
}

TEST_F(TlsService, TheDebugPortSpeaksTlsWithSettingsOfItsOwn) {
    const std::vector<std::string> secured = {"--debug.tls_certificate=" + path("a.crt"),
                                              "--debug.tls_key=" + path("a.key")};
    const service running(service::options{.flags = secured});
    tls_tests::client who(connected(running.debug()), trusting());
    ASSERT_TRUE(who.connect()) << who.why();
    const auto metrics = who.exchange(get("/metrics"));
    ASSERT_TRUE(metrics);
    EXPECT_THAT(metrics->body, HasSubstr("tls_certificate_not_after_seconds{server=\"debug\",name=\"CN=localhost\"}"));
    EXPECT_THAT(metrics->body, Not(HasSubstr("server=\"app\",version")));
    const auto host = running.debug().text();
    const auto leave = [&host](const std::string& origin) {
        return "DELETE /debug/shutdown HTTP/1.1\r\nHost: " + host + "\r\nOrigin: " + origin + "\r\n\r\n";
    };
    EXPECT_EQ(who.exchange(leave("https://" + host)).value().status, 409) << "its own page may change something";
    EXPECT_EQ(who.exchange(leave("http://" + host)).value().status, 403);
    EXPECT_EQ(running.ask(get("/")).status, 200) << "the app port stays in clear";
    auto probing = secured;
    probing.insert(probing.end(), {"--debug.port=" + std::to_string(running.debug().port), "--probe", "readyz"});
    EXPECT_EQ(integration::run_to_end(probing).code, 0);
    EXPECT_EQ(integration::run_to_end({probing[2], "--probe", "readyz"}).code, 1) << "in clear";
}

TEST_F(TlsService, WhoAsksTheDebugPortMustShowACertificateWhereOneIsAskedFor) {
    std::ofstream(path("ca.crt")) << ours.certificate();
    const std::vector<std::string> secured = {"--debug.tls_certificate=" + path("a.crt"),
                                              "--debug.tls_key=" + path("a.key"),
                                              "--debug.tls_client_ca=" + path("ca.crt")};
    const service running(service::options{.flags = secured});
    tls_tests::client stranger(connected(running.debug()), trusting());
    EXPECT_FALSE(stranger.connect() && stranger.exchange(get("/readyz")));
    auto probing = secured;
    probing.insert(probing.end(), {"--debug.port=" + std::to_string(running.debug().port), "--probe", "readyz"});
    EXPECT_EQ(integration::run_to_end(probing).code, 0);
}

}  // namespace
}  // namespace tls_service
