// The sink http, and everything else that has its connection, over TLS: whom it trusts, and what it makes of bad files.

#include <gmock/gmock.h>

#include "tests/sinks/fake_server.hpp"
#include "tests/support/process.hpp"
#include "tests/tls_client/tls_front.hpp"
#include "tests/tracker/fakes.hpp"
#include "tracker/http/http_sink.hpp"

namespace tls_client {
namespace {

using namespace std::chrono_literals;
using fakes::fake_server;
using testing::HasSubstr;
using tls_tests::authority;

struct HttpsSink : testing::Test {
    support::temporary_directory folder;
    authority root;
    fake_server server{[](std::size_t, const auto&) { return fake_server::reply(); }};

    std::string file(const std::string& name, const std::string& pem) const {
        support::write_file(folder.path() / name, pem);
        return folder.path() / name;
    }
    std::uint16_t clear_port() const {
        const auto url = server.url();
        return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
    }
    /// A name is looked up here: a bare system has no /etc/hosts, and does not know localhost.
    static std::vector<std::string> look_up(const std::string& /*host*/) { return {"127.0.0.1"}; }
    /// What a delivery through `front` fails with; empty: it does not.
    static std::string failure(const tls_front& front, const std::string& ca,
                               const std::string& host = "127.0.0.1") try {
        tracker::options options;
        options.http.url = "https://" + host + ":" + std::to_string(front.port()) + "/in";
        options.http.timeout = 10s;
        options.http.ca = ca;
        const std::vector<tracker::event> batch{fakes::make_event("a")};
        tracker::http_sink(
            options, [] { return fakes::clock::time_point::max(); }, look_up)
            .deliver(batch);
        return "";
    } catch (const std::exception& error) {
        return error.what();
    }
    /// What is said of what it trusts, and of a certificate of its own.
    static std::string start(const std::string& ca, const std::string& certificate = "",
                             const std::string& key = "") try {
        const tracker::http_connection made(
            {.url = "https://127.0.0.1:1/",
             .fields = {},
             .ca = ca,
             .certificate = certificate,
             .key = key,
             .url_name = "the url",
             .ca_name = "the files"},
            [] { return fakes::clock::time_point::max(); }, tracker::look_up);
        return "";
    } catch (const std::exception& error) {
        return error.what();
    }
};

TEST_F(HttpsSink, DeliversInBothVersionsOfTlsToWhomItTrusts) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const tls_front front(clear_port(), root.issue({.names = {"127.0.0.1"}}), {.version = version});
        EXPECT_EQ(failure(front, file("ca.pem", root.certificate())), "");
    }
    EXPECT_EQ(server.requests().size(), 2U);
}

TEST_F(HttpsSink, WhomItDoesNotTrustGetsNoRequest) {
    const auto ca = file("ca.pem", root.certificate());
    const tls_front strange(clear_port(), authority("another").issue({.names = {"127.0.0.1"}}));
    EXPECT_THAT(failure(strange, ca), HasSubstr("certificate verify failed"));
    const tls_front other_name(clear_port(), root.issue({.names = {"localhost"}}));
    EXPECT_THAT(failure(other_name, ca), HasSubstr("certificate verify failed"));
    const tls_front expired(clear_port(), root.issue({.names = {"127.0.0.1"}, .from = -48h, .until = -24h}));
    EXPECT_THAT(failure(expired, ca), HasSubstr("certificate verify failed"));
    const tls_front by_subject(clear_port(), root.issue({.subject = "localhost", .names = {"127.0.0.1"}}));
    EXPECT_THAT(failure(by_subject, ca, "localhost"), HasSubstr("certificate verify failed"));
    EXPECT_TRUE(server.requests().empty());
    const tls_front named(clear_port(), root.issue({.names = {"localhost"}}));
    EXPECT_EQ(failure(named, ca, "localhost"), "");
}

TEST_F(HttpsSink, SpeaksNothingOlderThanTls12) {
    const tls_front old(clear_port(), root.issue({.names = {"127.0.0.1"}}), {.version = TLS1_1_VERSION});
    EXPECT_NE(failure(old, file("ca.pem", root.certificate())), "");
    EXPECT_TRUE(server.requests().empty());
}

TEST_F(HttpsSink, BadFilesEndTheStartAndAskNobody) {
    const auto shown = root.issue();
    const auto certificate = file("own.crt", shown.certificate);
    const auto locked = file("locked.key", tls_tests::encrypted(shown.key));
    EXPECT_THAT(start("", certificate, locked), HasSubstr("the files '" + locked + "': "));
    const auto foreign = file("foreign.key", root.issue({.key = authority::kind::rsa}).key);
    EXPECT_THAT(start("", certificate, foreign), HasSubstr("it is the key of another certificate"));
    const auto none = (folder.path() / "none.pem").string();
    EXPECT_THAT(start(none), HasSubstr("the files '" + none + "': "));
    EXPECT_EQ(start("", certificate, file("own.key", shown.key)), "");
}

}  // namespace
}  // namespace tls_client
