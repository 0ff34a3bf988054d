// A session and a client of today's OpenSSL, by turns, on a pair of sockets: no thread, no loop, no clock.

#include "server/tls/session.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/process.hpp"
#include "tests/tls/authority.hpp"
#include "tests/tls/client.hpp"

namespace {

using namespace std::chrono_literals;
using server::transfer_end;
using server::tls::refusal;
using testing::HasSubstr;
using tls_tests::authority;
using stage = server::layer::stage;

/// Both ends of one connection.
struct ends {
    ends(std::shared_ptr<const server::tls::generation> from, const tls_tests::client::wish& how)
        : server(std::move(from), counts), client(pair(), how) {}
    ~ends() {
        if (socket >= 0) ::close(socket);
    }
    ends(const ends&) = delete;
    ends& operator=(const ends&) = delete;

    /// Until nobody gets any further, or the server has what ends it.
    transfer_end shake() {
        auto how = transfer_end::would_block;
        for (int turns = 0; turns < 10; ++turns) {
            client.shake();
            if (server.shakes()) how = server.shake(socket);
        }
        return how;
    }
    /// What the server reads in one go.
    std::string read(bool from_socket = true, std::size_t most = 65'536) {
        std::string into(most, '\0');
        last = server.read(socket, into, from_socket);
        return into.substr(0, last.count);
    }
    bool sends_raw(std::string_view bytes) const {
        return ::send(client.socket(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
    }
    std::uint64_t count(refusal why) const { return counts->refused[static_cast<std::size_t>(why)].load(); }

    int socket = -1;
    std::shared_ptr<server::tls::tally> counts = std::make_shared<server::tls::tally>();
    server::tls::session server;
    server::transfer last;

private:
    int pair() {
        int both[2] = {-1, -1};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, both) != 0) return -1;
        socket = both[0];
        return both[1];
    }

public:
    tls_tests::client client;  // last: `pair` has made its socket
};

struct Session : testing::Test {
    support::temporary_directory folder;
    authority ours;
    server::tls::ticket_key at_random = server::tls::make_ticket_key();
    server::tls_options by;

    Session() { add("a", {}); }

    std::string path(const std::string& name) const { return (folder.path() / name).string(); }
    void add(const std::string& name, const authority::wish& wanted) {
        authority::write(folder.path(), name, ours.issue(wanted));
        by.certificate.push_back(path(name + ".crt"));
        by.key.push_back(path(name + ".key"));
    }
    std::shared_ptr<const server::tls::generation> made() const {
        return std::make_shared<const server::tls::generation>(by, "app", at_random);
    }
    tls_tests::client::wish trusting() const { return {.ca = ours.certificate(), .name = "localhost"}; }
    void want_client_certificates() {
        support::write_file(path("ca.pem"), ours.certificate());
        by.client_ca = path("ca.pem");
    }
};

TEST_F(Session, ShakesHandsByTls13AndCarriesBytesBothWays) {
    ends two(made(), trusting());
    EXPECT_EQ(two.shake(), transfer_end::done);
    EXPECT_EQ(two.server.now_in(), stage::open);
    EXPECT_EQ(SSL_version(two.client.ssl()), TLS1_3_VERSION);
    two.client.send("ping");
    EXPECT_EQ(two.read(), "ping");
    EXPECT_EQ(two.server.write(two.socket, "pong", false).count, 4U);
    two.client.read();
    EXPECT_EQ(two.client.seen(), "pong");
    EXPECT_EQ(two.counts->done[1][0].load(), 1U);
}

TEST_F(Session, SpeaksTls12AndNothingOlder) {
    auto how = trusting();
    how.version = TLS1_2_VERSION;
    ends two(made(), how);
    EXPECT_EQ(two.shake(), transfer_end::done);
    how.version = TLS1_1_VERSION;
    ends old(made(), how);
    old.shake();
    EXPECT_EQ(old.server.now_in(), stage::failed);
    EXPECT_EQ(old.count(refusal::protocol), 1U);
    EXPECT_THAT(old.client.why(), HasSubstr("alert protocol version"));
}

TEST_F(Session, TheLeastVersionIsASetting) {
    by.min_version = "1.3";
    auto how = trusting();
    how.version = TLS1_2_VERSION;
    ends two(made(), how);
    two.shake();
    EXPECT_EQ(two.server.now_in(), stage::failed);
}

TEST_F(Session, OffersHttp11AloneAndGoesOnWhereNothingIsInCommon) {
    auto how = trusting();
    how.protocols = "\x02h2\x08http/1.1";
    ends both(made(), how);
    EXPECT_EQ(both.shake(), transfer_end::done);
    EXPECT_EQ(both.client.protocol(), "http/1.1");
    how.protocols = "\x02h2";
    ends strange(made(), how);
    EXPECT_EQ(strange.shake(), transfer_end::done);
    EXPECT_EQ(strange.client.protocol(), "");
}

TEST_F(Session, TheNameThatIsAskedForChoosesTheCertificate) {
    add("b", {.subject = "other", .names = {"other.example", "*.wild.example"}});
    const auto served = [&](const std::string& name) {
        ends two(made(), {.name = name});
        two.shake();
        return two.client.subject();
    };
    EXPECT_EQ(served("localhost"), "localhost");
    EXPECT_EQ(served("other.example"), "other");
    EXPECT_EQ(served("OTHER.example"), "other");
    EXPECT_EQ(served("a.wild.example"), "other");
    EXPECT_EQ(served("a.b.wild.example"), "localhost");
    EXPECT_EQ(served("unknown.example"), "localhost");
    EXPECT_EQ(served(""), "localhost");
}

TEST_F(Session, TwoKindsOfKeyOfOneNameAreChosenByWhatTheClientCan) {
    add("r", {.key = authority::kind::rsa});
    auto how = trusting();
    how.signatures = "RSA-PSS+SHA256";
    ends two(made(), how);
    EXPECT_EQ(two.shake(), transfer_end::done) << two.client.why();
    how.signatures = "ECDSA+SHA256";
    ends other(made(), how);
    EXPECT_EQ(other.shake(), transfer_end::done) << other.client.why();
}

/// Two requests for certificates need not have the names in one order, or each of them once.
TEST_F(Session, TwoKindsOfKeyAreOfOneNameInWhateverOrderTheirNamesAre) {
    add("e", {.names = {"b.example", "a.example"}});
    add("r", {.names = {"a.example", "B.example", "a.example"}, .key = authority::kind::rsa});
    auto how = trusting();
    for (const auto* const name : {"a.example", "b.example"})
        for (const auto* const signatures : {"RSA-PSS+SHA256", "ECDSA+SHA256"}) {
            how.name = name;
            how.signatures = signatures;
            ends two(made(), how);
            EXPECT_EQ(two.shake(), transfer_end::done) << name << " by " << signatures << ": " << two.client.why();
        }
}

TEST_F(Session, ReadsOnceFromTheSocketAndSaysWhatItHolds) {
    ends two(made(), trusting());
    two.shake();
    two.read();  // it may hold something since the handshake; it does not
    EXPECT_FALSE(two.server.holds());
    two.client.send("one");
    two.client.send("two");
    EXPECT_EQ(two.read(), "one");
    EXPECT_TRUE(two.server.holds());
    EXPECT_EQ(two.read(false), "two");
    EXPECT_EQ(two.read(false), "");
    EXPECT_EQ(two.last.how, transfer_end::would_block);
    EXPECT_FALSE(two.server.holds());
}

TEST_F(Session, SaysWhetherTheSocketIsEmpty) {
    ends two(made(), trusting());
    two.shake();
    two.client.send("one");
    EXPECT_EQ(two.read(), "one");
    EXPECT_TRUE(two.server.drained());
    EXPECT_EQ(two.read(), "");
    EXPECT_TRUE(two.server.drained());
    for (int nth = 0; nth < 3; ++nth) two.client.send(std::string(16'000, 'x'));
    two.read();
    EXPECT_FALSE(two.server.drained()) << "a buffer full has been taken, and more is there";
}

TEST_F(Session, WhatOthersHaveLeftInTheQueueOfErrorsIsNoFailure) {
    ends two(made(), trusting());
    two.shake();
    const auto leave = [] { ERR_raise(ERR_LIB_USER, 1); };
    leave();
    EXPECT_EQ(two.read(), "");
    EXPECT_EQ(two.last.how, transfer_end::would_block);
    two.client.send("ping");
    leave();
    EXPECT_EQ(two.read(), "ping");
    leave();
    EXPECT_EQ(two.server.write(two.socket, "pong", false).count, 4U);
    SSL_shutdown(two.client.ssl());
    leave();
    two.read();
    EXPECT_EQ(two.last.how, transfer_end::ended);
    EXPECT_EQ(two.server.farewell(two.socket), transfer_end::done);
    ERR_clear_error();
    while (two.client.read() == tls_tests::client::step::done) {}
    EXPECT_TRUE(two.client.told_of_end()) << "which it does not hear from a connection that has failed";
}

TEST_F(Session, Aes128ComesFirst) {
    for (const auto& [version, name] :
         {std::pair(TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"), {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"}}) {
        auto how = trusting();
        how.version = version;
        ends two(made(), how);
        EXPECT_EQ(two.shake(), transfer_end::done);
        EXPECT_STREQ(SSL_get_cipher_name(two.client.ssl()), name);
    }
}

TEST_F(Session, ARecordThatIsLargerThanTheRoomIsHeld) {
    ends two(made(), trusting());
    two.shake();
    two.client.send(std::string(9'000, 'x'));
    EXPECT_EQ(two.read(true, 7'000).size(), 7'000U);
    EXPECT_TRUE(two.server.holds());
    EXPECT_EQ(two.read(false, 7'000).size(), 2'000U);
    EXPECT_FALSE(two.server.holds());
}

TEST_F(Session, ARecordThatIsNotWholeStirsAndGivesNothing) {
    int raw[2] = {-1, -1};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, raw), 0);
    ends two(made(), trusting());
    two.shake();
    two.client.read();
    SSL_set_fd(two.client.ssl(), raw[0]);  // what it sends now goes where the test can cut it
    two.client.send("request");
    char record[256];
    const auto size = ::recv(raw[1], record, sizeof record, MSG_DONTWAIT);
    ASSERT_GT(size, 10);
    std::size_t sent = 0;
    for (const std::size_t upto : {3UL, 5UL, 9UL}) {
        ASSERT_TRUE(two.sends_raw({record + sent, upto - sent}));
        sent = upto;
        EXPECT_EQ(two.read(), "");
        EXPECT_EQ(two.last.how, transfer_end::would_block);
        EXPECT_TRUE(two.server.stirs()) << upto << " bytes of a record";
        EXPECT_FALSE(two.server.holds());
    }
    ASSERT_TRUE(two.sends_raw({record + sent, static_cast<std::size_t>(size) - sent}));
    EXPECT_EQ(two.read(), "request");
    EXPECT_FALSE(two.server.stirs());
    ::close(raw[0]);
    ::close(raw[1]);
}

TEST_F(Session, AHandshakeThatHasBegunStirs) {
    ends two(made(), trusting());
    EXPECT_EQ(two.server.shake(two.socket), transfer_end::would_block);
    EXPECT_EQ(two.server.now_in(), stage::quiet);
    EXPECT_FALSE(two.server.stirs());
    two.client.shake();
    EXPECT_EQ(two.server.shake(two.socket), transfer_end::would_block);
    EXPECT_EQ(two.server.now_in(), stage::shaking);
    EXPECT_TRUE(two.server.stirs());
}

/// However its hello trickles: see stage::quiet.
TEST_F(Session, IsQuietUntilItHasAnswered) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        auto how = trusting();
        how.version = version;
        ends two(made(), how);
        int both[2] = {-1, -1};
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, both), 0);
        SSL_set_wfd(two.client.ssl(), both[0]);
        two.client.shake();
        char hello[4096];
        const auto size = ::recv(both[1], hello, sizeof hello, 0);
        for (ssize_t at = 0; at < size; ++at) {
            EXPECT_EQ(two.server.now_in(), stage::quiet) << "byte " << at << " of " << size;
            EXPECT_TRUE(two.sends_raw({hello + at, 1}));
            two.server.shake(two.socket);
            EXPECT_TRUE(two.server.stirs());
        }
        EXPECT_EQ(two.server.now_in(), stage::shaking);
        ::close(both[0]);
        ::close(both[1]);
    }
}

TEST_F(Session, SaysCloseNotifyOnceAndHearsIt) {
    ends two(made(), trusting());
    two.shake();
    EXPECT_EQ(two.server.farewell(two.socket), transfer_end::done);
    EXPECT_EQ(two.server.farewell(two.socket), transfer_end::done);
    two.client.read();
    EXPECT_TRUE(two.client.told_of_end());
}

TEST_F(Session, ACloseNotifyOfTheClientIsTheEndAndStaysOne) {
    ends two(made(), trusting());
    two.shake();
    SSL_shutdown(two.client.ssl());
    two.read();
    EXPECT_EQ(two.last.how, transfer_end::ended);
    EXPECT_TRUE(two.server.holds()) << "the socket does not say it again";
    two.read(false);
    EXPECT_EQ(two.last.how, transfer_end::ended);
}

TEST_F(Session, AFinWithoutCloseNotifyIsAnOrdinaryEnd) {
    ends two(made(), trusting());
    two.shake();
    two.client.send("last");
    ::shutdown(two.client.socket(), SHUT_WR);
    EXPECT_EQ(two.read(), "last");
    two.read();
    EXPECT_EQ(two.last.how, transfer_end::ended);
    EXPECT_EQ(two.server.write(two.socket, "answer", false).how, transfer_end::done);
}

TEST_F(Session, WhatIsNoRecordIsTheEnd) {
    ends two(made(), trusting());
    two.shake();
    two.sends_raw(std::string(64, '\xff'));
    two.read();
    EXPECT_EQ(two.last.how, transfer_end::ended);
    EXPECT_EQ(two.read(), "") << "and nothing of it is ever read as it came";
    EXPECT_EQ(two.last.how, transfer_end::ended);
}

TEST_F(Session, WhatTheSocketDoesNotTakeIsWrittenAgain) {
    ends two(made(), trusting());
    two.shake();
    const std::string much(1'000'000, 'y');
    std::size_t sent = 0;
    while (true) {
        const auto how = two.server.write(two.socket, std::string_view(much).substr(sent), false);
        sent += how.count;
        if (how.how == transfer_end::done && sent < much.size()) continue;
        if (how.how == transfer_end::done) break;
        ASSERT_EQ(how.how, transfer_end::would_block);
        const auto before = two.client.seen().size();
        while (two.client.read() == tls_tests::client::step::done) {}
        ASSERT_GT(two.client.seen().size(), before);
    }
    while (two.client.read() == tls_tests::client::step::done) {}
    EXPECT_EQ(two.client.seen(), much);
}

TEST_F(Session, AFarewellThatTheSocketDoesNotTakeIsSaidAgain) {
    ends two(made(), trusting());
    two.shake();
    const int small = 1;
    ::setsockopt(two.socket, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    while (two.server.write(two.socket, "z", false).how == transfer_end::done) {}
    two.client.read();
    while (two.server.write(two.socket, "z", false).how == transfer_end::done) {}
    // One record is still to be written, and a farewell in its middle would not be one.
    for (int turns = 0; turns < 1'000 && two.server.write(two.socket, "z", false).how != transfer_end::done; ++turns)
        two.client.read();
    while (two.client.read() == tls_tests::client::step::done) {}
    EXPECT_EQ(two.server.farewell(two.socket), transfer_end::done);
    two.client.read();
    EXPECT_TRUE(two.client.told_of_end());
}

TEST_F(Session, HttpInClearIsSeenAndNotAnswered) {
    ends two(made(), trusting());
    two.sends_raw("GET / HTTP/1.1\r\n\r\n");
    EXPECT_EQ(two.server.shake(two.socket), transfer_end::ended);
    EXPECT_EQ(two.server.now_in(), stage::clear);
    EXPECT_EQ(two.count(refusal::clear_text), 1U);
    char any = 0;
    EXPECT_LT(::recv(two.client.socket(), &any, 1, MSG_DONTWAIT), 0);
}

TEST_F(Session, WhatIsNoHelloIsRefusedByAnAlert) {
    ends two(made(), trusting());
    two.sends_raw(std::string("\x16\x03\x01\0\x05hello", 10));
    EXPECT_EQ(two.server.shake(two.socket), transfer_end::ended);
    EXPECT_EQ(two.server.now_in(), stage::failed);
    EXPECT_EQ(two.count(refusal::malformed), 1U);
    EXPECT_FALSE(two.server.why().empty());
}

TEST_F(Session, AClientThatGoesInTheMiddleIsCounted) {
    ends two(made(), trusting());
    two.client.shake();
    two.server.shake(two.socket);
    ::shutdown(two.client.socket(), SHUT_WR);
    EXPECT_EQ(two.server.shake(two.socket), transfer_end::ended);
    EXPECT_EQ(two.server.now_in(), stage::gone);
    EXPECT_EQ(two.count(refusal::gone), 1U);
}

TEST_F(Session, AHandshakeThatWeEndIsCountedApart) {
    auto counts = std::make_shared<server::tls::tally>();
    {
        ends two(made(), trusting());
        two.client.shake();
        two.server.shake(two.socket);
        counts = two.counts;
    }
    EXPECT_EQ(counts->refused[static_cast<std::size_t>(refusal::cut)].load(), 1U);
}

TEST_F(Session, ClientsThatDoNotTrustUsAreCountedByTheirAlert) {
    ends two(made(), {.ca = authority("another").certificate(), .name = "localhost"});
    two.shake();
    EXPECT_EQ(two.count(refusal::alert), 1U);
}

// ── sessions that are resumed ───────────────────────────────────────────────────────────────────

TEST_F(Session, OneTicketIsGivenAndResumesAlsoWithTheNextGeneration) {
    ends first(made(), trusting());
    first.shake();
    first.client.read();
    ASSERT_EQ(first.client.tickets(), 1);
    add("b", {.subject = "other", .names = {"other.example"}});
    auto how = trusting();
    how.session = first.client.ticket();
    ends second(made(), how);
    second.shake();
    EXPECT_TRUE(second.client.resumed());
    EXPECT_EQ(second.counts->done[1][1].load(), 1U);
}

TEST_F(Session, ATicketOfAKeyFileIsGoodForOthersThatHaveIt) {
    support::write_file(path("key"), std::string(80, 'k'));
    by.ticket_key = path("key");
    ends first(made(), trusting());
    first.shake();
    first.client.read();
    at_random = server::tls::make_ticket_key();                                     // another process
    support::write_file(path("key"), std::string(80, 'n') + std::string(80, 'k'));  // which has a newer key too
    auto how = trusting();
    how.session = first.client.ticket();
    ends second(made(), how);
    second.shake();
    EXPECT_TRUE(second.client.resumed());
    second.client.read();
    EXPECT_EQ(second.client.tickets(), 1) << "sealed by the newer key";
    support::write_file(path("key"), std::string(80, 'n'));
    how.session = second.client.ticket();
    ends third(made(), how);
    third.shake();
    EXPECT_TRUE(third.client.resumed());
}

TEST_F(Session, AStrangeTicketIsAFullHandshakeAndNoError) {
    ends first(made(), trusting());
    first.shake();
    first.client.read();
    at_random = server::tls::make_ticket_key();
    auto how = trusting();
    how.session = first.client.ticket();
    ends second(made(), how);
    EXPECT_EQ(second.shake(), transfer_end::done);
    EXPECT_FALSE(second.client.resumed());
}

TEST_F(Session, ATls12SessionIsResumedByItsTicket) {
    auto how = trusting();
    how.version = TLS1_2_VERSION;
    ends first(made(), how);
    first.shake();
    ASSERT_EQ(first.client.tickets(), 1);
    how.session = first.client.ticket();
    ends second(made(), how);
    second.shake();
    EXPECT_TRUE(second.client.resumed());
}

// ── clients that must show a certificate ────────────────────────────────────────────────────────

TEST_F(Session, ACertificateOfTheClientNamesIt) {
    want_client_certificates();
    const auto shown = ours.issue({.subject = "some client", .names = {}});
    auto how = trusting();
    how.certificate = shown.certificate;
    how.key = shown.key;
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        how.version = version;
        ends two(made(), how);
        EXPECT_EQ(two.shake(), transfer_end::done) << two.client.why();
        EXPECT_EQ(two.server.subject(), "CN=some client");
        two.client.read();
        EXPECT_EQ(two.client.tickets(), 0) << "what was verified is verified each time";
    }
}

TEST_F(Session, WithoutACertificateTheClientIsToldAndCounted) {
    want_client_certificates();
    ends two(made(), trusting());
    two.shake();
    EXPECT_EQ(two.server.now_in(), stage::failed);
    EXPECT_EQ(two.count(refusal::certificate_missing), 1U);
    two.client.read();
    EXPECT_THAT(two.client.why(), HasSubstr("certificate required"));
    two.sends_raw("what it has sent meanwhile");
    EXPECT_EQ(two.read(), "what it has sent meanwhile") << "is read and forgotten";
}

/// One that takes several records, and one above the limit.
TEST_F(Session, LargeCertificatesOfClientsAreTakenUpToALimit) {
    want_client_certificates();
    for (const auto& [size, stage_of_it] : {std::pair(25'000UL, stage::open), {40'000UL, stage::failed}}) {
        const auto shown = ours.issue({.names = std::vector<std::string>(size / 50, std::string(48, 'n'))});
        auto how = trusting();
        how.certificate = shown.certificate;
        how.key = shown.key;
        for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
            how.version = version;
            ends two(made(), how);
            two.shake();
            EXPECT_EQ(two.server.now_in(), stage_of_it) << size << " bytes: " << two.server.why();
        }
    }
}

TEST_F(Session, ACertificateOfAnotherAuthorityOrOneThatHasExpiredIsRefused) {
    want_client_certificates();
    authority another("another");
    for (const auto& shown : {another.issue(), ours.issue({.from = -48h, .until = -24h})}) {
        auto how = trusting();
        how.certificate = shown.certificate;
        how.key = shown.key;
        ends two(made(), how);
        two.shake();
        EXPECT_EQ(two.server.now_in(), stage::failed);
        EXPECT_EQ(two.count(refusal::certificate_refused), 1U);
    }
}

// ── what is not there ───────────────────────────────────────────────────────────────────────────

TEST_F(Session, RenegotiationIsRefused) {
    auto how = trusting();
    how.version = TLS1_2_VERSION;
    ends two(made(), how);
    two.shake();
    SSL_renegotiate(two.client.ssl());
    two.client.shake();
    EXPECT_EQ(two.read(), "");
    for (int turns = 0; turns < 3 && !two.client.ended(); ++turns) two.client.shake();
    EXPECT_THAT(two.client.why(), HasSubstr("no renegotiation"));
}

TEST_F(Session, ThereIsNoCompressionAndNoEarlyData) {
    ends two(made(), trusting());
    two.shake();
    two.client.read();
    EXPECT_EQ(SSL_get_current_compression(two.client.ssl()), nullptr);
    EXPECT_EQ(SSL_SESSION_get_max_early_data(two.client.ticket()), 0U);
}

}  // namespace
