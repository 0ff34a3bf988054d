// Calls to https upstreams: whom they trust, what they say, and what is kept.

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "tests/client/calling.hpp"
#include "tests/tls_client/tls_front.hpp"

namespace tls_client {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

struct HttpsClient : Calling {
    HttpsClient() {
        std::string name = std::filesystem::temp_directory_path() / "https-XXXXXX";
        folder = ::mkdtemp(name.data());
        options.tls_ca = write("ca.crt", root.certificate());
    }
    ~HttpsClient() override { std::filesystem::remove_all(folder); }

    std::string write(const std::string& name, const std::string& pem) const {
        std::ofstream(folder / name) << pem;
        return folder / name;
    }
    std::uint16_t clear_port() const {
        const auto in_clear = up.origin();
        return static_cast<std::uint16_t>(std::stoi(in_clear.substr(in_clear.rfind(':') + 1)));
    }
    /// Who is called from here on, as `host`.
    void serve(const tls_tests::authority::wish& certificate, const tls_front::wish& how = {},
               const std::string& host = "127.0.0.1") {
        front.emplace(clear_port(), root.issue(certificate), how);
        origin = "https://" + host + ":" + std::to_string(front->port());
        more_allowed = "," + origin;
    }
    answer call_it(const std::string& path = "/ok") { return ask({.to = client().find(origin + path).value()}); }

    std::filesystem::path folder;
    tls_tests::authority root;
    std::optional<tls_front> front;
    std::string origin;
};

const tls_tests::authority::wish for_the_address{.names = {"127.0.0.1"}};

TEST_F(HttpsClient, ConnectionsAreKeptInBothVersionsOfTls) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        serve(for_the_address, {.version = version});
        const auto before = up.accepted();
        http_client_made_anew();
        for (int nth = 0; nth < 5; ++nth) EXPECT_EQ(call_it().value().body, "fine");
        EXPECT_EQ(up.accepted(), before + 1);
    }
}

TEST_F(HttpsClient, AnAddressIsAskedForByNoNameAndMustBeInTheCertificate) {
    serve(for_the_address);
    EXPECT_EQ(call_it().value().body, "fine");
    EXPECT_EQ(front->asked_for(), "");
}

TEST_F(HttpsClient, WhoShowsTheCertificateOfAnotherNameGetsNoRequest) {
    serve({.names = {"elsewhere.example"}});
    const auto refused = call_it();
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(), HasSubstr("certificate verify failed"));
    EXPECT_EQ(up.accepted(), 0U);
}

/// RFC 9525: what a subject says is for people to read.
TEST_F(HttpsClient, ANameMustBeAmongTheAlternativeOnes) {
    const server::client_tls trust(options);
    const auto fault_of = [&](const tls_tests::authority::wish& certificate) {
        serve(certificate);
        server::upstream_stream stream(io.get_executor());
        stream.tcp().connect({boost::asio::ip::address_v4::loopback(), front->port()});
        std::optional<boost::system::error_code> how;
        boost::asio::co_spawn(io.get_executor(), stream.secure(trust.now(), "localhost"),
                              [&how](const std::exception_ptr&, boost::system::error_code ended) { how = ended; });
        EXPECT_TRUE(run_until([&] { return how.has_value(); }));
        EXPECT_EQ(front->asked_for(), "localhost");
        return how.value().message();
    };
    EXPECT_THAT(fault_of({.subject = "localhost", .names = {"127.0.0.1"}}), HasSubstr("certificate verify failed"));
    EXPECT_THAT(fault_of({.subject = "localhost", .names = {}}), HasSubstr("certificate verify failed"));
    EXPECT_EQ(fault_of({.subject = "elsewhere", .names = {"localhost"}}), "Success");
}

TEST_F(HttpsClient, WhoIsSignedBySomebodyElseGetsNoRequest) {
    const tls_tests::authority stranger("stranger");
    options.tls_ca = write("ca.crt", stranger.certificate());
    serve(for_the_address);
    EXPECT_FALSE(call_it());
    EXPECT_EQ(up.accepted(), 0U);
}

TEST_F(HttpsClient, ACertificateThatHasExpiredIsNotTrusted) {
    serve({.names = {"127.0.0.1"}, .from = std::chrono::hours(-48), .until = std::chrono::hours(-24)});
    EXPECT_FALSE(call_it());
    EXPECT_EQ(up.accepted(), 0U);
}

TEST_F(HttpsClient, ShowsItsOwnCertificateWhenItIsAskedForOne) {
    serve(for_the_address, {.client_ca = root.certificate()});
    EXPECT_FALSE(call_it()) << "it has none";
    const auto ours = root.issue({.subject = "caller", .names = {}});
    options.tls_certificate = write("ours.crt", ours.certificate);
    options.tls_key = write("ours.key", ours.key);
    http_client_made_anew();
    EXPECT_EQ(call_it().value().body, "fine");
}

TEST_F(HttpsClient, SaysGoodByeToWhomItKeepsNoLonger) {
    serve(for_the_address);
    options.idle_timeout = 60ms;
    EXPECT_TRUE(call_it());
    EXPECT_EQ(kept(), 1U);
    EXPECT_TRUE(run_until([&] { return kept() == 0; }));
    EXPECT_TRUE(support::eventually([&] { return front->farewells() == 1; }));
}

TEST_F(HttpsClient, AKeptConnectionThatIsClosedMeanwhileIsDropped) {
    serve(for_the_address);
    EXPECT_TRUE(call_it());
    up.close_idle();
    EXPECT_TRUE(run_until([&] { return kept() == 0; }));
    EXPECT_EQ(call_it().value().body, "fine");
}

/// RFC 9112, section 9.8: anybody in between could have cut it.
TEST_F(HttpsClient, ABodyThatEndsWithoutCloseNotifyIsAnError) {
    play = [](const auto&, std::size_t) {
        return support::scripted_upstream::reply{"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it?", then::close};
    };
    serve(for_the_address, {.bare_end = true});
    EXPECT_FALSE(call_it());
    serve(for_the_address);
    http_client_made_anew();
    EXPECT_EQ(call_it().value().body, "all of it?");
}

TEST_F(HttpsClient, AHandshakeIsPartOfTheTime) {
    const auto silent = up.origin();  // it waits for a request in clear
    more_allowed = ",https" + silent.substr(4);
    const auto answer = ask({.to = client().find("https" + silent.substr(4) + "/ok").value()}, within(100ms));
    EXPECT_EQ(answer.error(), boost::system::errc::timed_out);
}

TEST_F(HttpsClient, FilesAreReadAgainAtAReload) {
    const tls_tests::authority stranger("stranger");
    options.tls_ca = write("ca.crt", stranger.certificate());
    serve(for_the_address);
    EXPECT_FALSE(call_it());
    write("ca.crt", "no certificate");
    client().reload();
    EXPECT_FALSE(call_it());
    write("ca.crt", root.certificate());
    client().reload();
    EXPECT_EQ(call_it().value().body, "fine");
}

TEST_F(HttpsClient, WhatIsWrongWithAFileIsSaidAtTheStart) {
    const auto ours = root.issue();
    const auto other = root.issue({.key = tls_tests::authority::kind::rsa});
    struct row {
        std::string ca, certificate, key, says;
    };
    const auto good_ca = write("ca.crt", root.certificate());
    const auto good_certificate = write("ours.crt", ours.certificate);
    const auto good_key = write("ours.key", ours.key);
    for (const auto& [ca, certificate, key, says] : {
             row{folder / "none", "", "", "client.tls_ca = \"" + (folder / "none").string() + "\": cannot be read"},
             row{write("empty", ""), "", "", "is empty"},
             row{write("noise", "noise"), "", "", "allowed is PEM with at least one certificate"},
             row{good_ca, good_certificate, "", "client.tls_key = \"\": stands alone"},
             row{good_ca, "", good_key, "client.tls_certificate = \"\": stands alone"},
             row{good_ca, good_certificate, write("other.key", other.key), "client.tls_key = "},
             row{good_ca, good_certificate, write("locked.key", tls_tests::encrypted(ours.key)), "client.tls_key = "},
         }) {
        server::client_options wrong;
        wrong.allow = "https://127.0.0.1:1";
        wrong.tls_ca = ca;
        wrong.tls_certificate = certificate;
        wrong.tls_key = key;
        try {
            const server::client_tls made(wrong);
            ADD_FAILURE() << says << " is not said";
        } catch (const std::runtime_error& e) {
            EXPECT_THAT(e.what(), HasSubstr(says));
        }
    }
}

}  // namespace
}  // namespace tls_client
