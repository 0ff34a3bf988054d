// What is taken for a certificate and its key, and what is said of the rest.

#include "server/tls/certificate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/tls/fault.hpp"
#include "server/tls/generation.hpp"
#include "tests/support/process.hpp"
#include "tests/tls/authority.hpp"

namespace {

using namespace std::chrono_literals;
using server::tls::fault;
using server::tls::read_certificate;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using tls_tests::authority;

struct CertificateFiles : testing::Test {
    support::temporary_directory folder;
    authority ours;

    std::string path(const std::string& name) const { return (folder.path() / name).string(); }
    void write(const std::string& name, const authority::pair& what) const {
        authority::write(folder.path(), name, what);
    }
    auto read(const std::string& name) const { return read_certificate(path(name + ".crt"), path(name + ".key")); }
    /// Which setting is at fault, and how.
    std::string fault_of(const std::string& certificate, const std::string& key) const {
        try {
            read_certificate(path(certificate), path(key));
        } catch (const fault& wrong) {
            return std::string(wrong.key) + ": " + wrong.what() + ": allowed is " + wrong.allowed;
        }
        return "none";
    }
    std::string fault_of(const std::string& name) const { return fault_of(name + ".crt", name + ".key"); }
};

TEST_F(CertificateFiles, APairIsReadWithItsNamesAndItsEnd) {
    write("a", ours.issue({.subject = "Some Service", .names = {"Example.org", "*.example.org"}}));
    const auto made = read("a");
    EXPECT_EQ(made.subject, "CN=Some Service");
    EXPECT_THAT(made.names, ElementsAre("example.org", "*.example.org"));
    EXPECT_GT(made.not_after, std::time(nullptr) + 300 * 24 * 60 * 60);
    EXPECT_FALSE(made.key_is_open);
}

TEST_F(CertificateFiles, AChainIsReadInItsOrder) {
    authority middle = ours.below("in the middle");
    write("a", middle.issue());
    EXPECT_EQ(read("a").chain.size(), 1U);
}

TEST_F(CertificateFiles, AKeyThatEverybodyMayReadIsNoticed) {
    write("a", ours.issue());
    std::filesystem::permissions(path("a.key"), std::filesystem::perms::others_read,
                                 std::filesystem::perm_options::add);
    EXPECT_TRUE(read("a").key_is_open);
}

TEST_F(CertificateFiles, AFileThatIsNotThereIsNamed) {
    EXPECT_THAT(fault_of("none"), HasSubstr("tls_certificate: " + path("none.crt") + " cannot be read: No such file"));
    write("a", ours.issue());
    EXPECT_THAT(fault_of("a.crt", "none.key"), HasSubstr("tls_key: " + path("none.key") + " cannot be read"));
}

TEST_F(CertificateFiles, APipeMakesNobodyWait) {
    ASSERT_EQ(::mkfifo(path("a.crt").c_str(), 0600), 0);
    EXPECT_THAT(fault_of("a"), HasSubstr("is not a regular file"));
}

TEST_F(CertificateFiles, WhatHoldsNoCertificateIsRefused) {
    support::write_file(path("a.crt"), "hello");
    support::write_file(path("a.key"), "hello");
    EXPECT_THAT(fault_of("a"), HasSubstr("a.crt holds no certificate: allowed is a PEM file"));
}

TEST_F(CertificateFiles, ACertificateThatIsCutIsRefusedAlsoBehindAWholeOne) {
    auto pair = ours.issue();
    const auto whole = pair.certificate;
    pair.certificate = whole + whole.substr(0, whole.size() / 2);
    write("a", pair);
    EXPECT_THAT(fault_of("a"), HasSubstr("tls_certificate: certificate 2 in "));
}

TEST_F(CertificateFiles, AKeyThatIsNoneIsRefused) {
    auto pair = ours.issue();
    pair.key = pair.certificate;
    write("a", pair);
    EXPECT_THAT(fault_of("a"), HasSubstr("tls_key: " + path("a.key") + " holds no private key"));
}

TEST_F(CertificateFiles, AnEncryptedKeyIsAFaultAndNoQuestion) {
    auto pair = ours.issue();
    pair.key = tls_tests::encrypted(pair.key);
    write("a", pair);
    EXPECT_THAT(fault_of("a"), HasSubstr("is encrypted: allowed is a PEM file with a private key that no password"));
}

TEST_F(CertificateFiles, AKeyOfAnotherCertificateDoesNotFitWhateverItsKind) {
    write("a", ours.issue());
    write("b", ours.issue());
    write("r", ours.issue({.key = authority::kind::rsa}));
    EXPECT_THAT(fault_of("a.crt", "b.key"), HasSubstr("b.key does not fit the certificate of CN=localhost in "));
    EXPECT_THAT(fault_of("a.crt", "r.key"), HasSubstr("r.key does not fit the certificate of CN=localhost in "));
}

TEST_F(CertificateFiles, AChainThatDoesNotBeginWithTheServersOwnIsRefused) {
    authority middle = ours.below("in the middle");
    auto pair = middle.issue();
    const auto leaf = pair.certificate.substr(0, pair.certificate.size() - middle.chain().size());
    pair.certificate = middle.chain() + leaf;
    write("a", pair);
    EXPECT_THAT(fault_of("a"), HasSubstr("is that of CN=in the middle, and the key in " + path("a.key") +
                                         " that of a later one: allowed is a PEM file, the server's own"));
}

TEST_F(CertificateFiles, AChainOutOfOrderIsRefused) {
    authority middle = ours.below("in the middle");
    authority low = middle.below("low");
    auto pair = low.issue();
    const auto leaf = pair.certificate.substr(0, pair.certificate.size() - low.chain().size());
    const auto own = low.chain().substr(0, low.chain().size() - middle.chain().size());
    pair.certificate = leaf + middle.chain() + own;
    write("a", pair);
    EXPECT_THAT(fault_of("a"), HasSubstr("certificate 2 in " + path("a.crt") +
                                         ", of CN=in the middle, has not issued the one before it, of CN=localhost"));
}

TEST_F(CertificateFiles, OneThatHasExpiredOrIsNotYetInForceIsRefused) {
    write("old", ours.issue({.from = -48h, .until = -24h}));
    write("early", ours.issue({.from = 24h, .until = 48h}));
    EXPECT_THAT(fault_of("old"), HasSubstr("the certificate of CN=localhost in " + path("old.crt") + " has expired"));
    EXPECT_THAT(fault_of("early"), HasSubstr("is not in force before "));
}

// ── all that belongs together ───────────────────────────────────────────────────────────────────

struct Generation : CertificateFiles {
    std::string fault_of_all(const server::tls_options& by) const {
        try {
            const server::tls::generation made(by, "app", server::tls::make_ticket_key());
        } catch (const fault& wrong) {
            return std::string(wrong.key) + ": " + wrong.what() + ": allowed is " + wrong.allowed;
        }
        return "none";
    }
    server::tls_options with(const std::string& name) const {
        server::tls_options by;
        by.certificate = {path(name + ".crt")};
        by.key = {path(name + ".key")};
        return by;
    }
};

/// It is served: the client may know more than this machine does.
TEST_F(Generation, ACertificateWithoutThatOfItsIssuerIsAWarning) {
    authority middle = ours.below("in the middle");
    auto pair = middle.issue();
    const auto warnings = [&] {
        write("a", pair);
        return server::tls::generation(with("a"), "app", server::tls::make_ticket_key()).warnings();
    };
    EXPECT_THAT(warnings(), IsEmpty()) << "it is there";
    pair.certificate.resize(pair.certificate.size() - middle.chain().size());
    EXPECT_THAT(warnings(), ElementsAre("the certificate of CN=localhost in " + path("a.crt") +
                                        " comes without that of its issuer, CN=in the middle, which this machine does "
                                        "not trust: if that is no root, clients refuse it"));
    support::write_file(path("ca.crt"), middle.certificate());
    EXPECT_THAT(warnings(), IsEmpty()) << "what lies beside it says that this is the root";
    support::write_file(path("ca.crt"), "-----BEGIN CERTIFICATE-----\nnone");
    EXPECT_THAT(warnings(), SizeIs(1));
    support::write_file(path("trusted"), middle.certificate());
    auto by = with("a");
    by.client_ca = path("trusted");
    EXPECT_THAT(server::tls::generation(by, "app", server::tls::make_ticket_key()).warnings(), IsEmpty());
    ::setenv("SSL_CERT_FILE", path("trusted").c_str(), 1);  // the system's
    EXPECT_THAT(warnings(), IsEmpty());
    ::unsetenv("SSL_CERT_FILE");
}

TEST_F(Generation, ACertificateThatHasSignedItselfHasNoIssuer) {
    write("a", authority("alone").own());
    EXPECT_THAT(server::tls::generation(with("a"), "app", server::tls::make_ticket_key()).warnings(), IsEmpty());
}

TEST_F(Generation, ListsOfUnequalLengthAreRefused) {
    write("a", ours.issue());
    auto by = with("a");
    by.key.push_back(by.key.front());
    EXPECT_EQ(fault_of_all(by),
              "tls_key: there are 2 keys for 1 certificates: allowed is a key for each certificate, in the same order");
}

TEST_F(Generation, AKeyThatIsTooWeakIsRefused) {
    write("a", ours.issue({.key = authority::kind::small_rsa}));
    EXPECT_THAT(fault_of_all(with("a")), HasSubstr("tls_certificate: the certificate of CN=localhost in "));
}

TEST_F(Generation, ATicketKeyHasEightyBytesOrSeveralTimesThat) {
    write("a", ours.issue());
    auto by = with("a");
    by.ticket_key = path("ticket");
    for (const auto& [bytes, well] :
         std::vector<std::pair<std::size_t, bool>>{{0, false}, {48, false}, {80, true}, {81, false}, {160, true}}) {
        support::write_file(path("ticket"), std::string(bytes, 'x'));
        EXPECT_EQ(fault_of_all(by) == "none", well) << bytes << " bytes: " << fault_of_all(by);
    }
    by.ticket_key = path("nowhere");
    try {
        const server::tls::generation made(by, "app", server::tls::make_ticket_key());
        ADD_FAILURE() << "it is not there";
    } catch (const fault& missing) {
        EXPECT_THAT(missing.what(), HasSubstr("cannot be read"));
        EXPECT_THAT(missing.allowed, HasSubstr("80 bytes"));
    }
}

TEST_F(Generation, WhoTrustsNobodyIsRefused) {
    write("a", ours.issue());
    auto by = with("a");
    by.client_ca = path("a.key");
    EXPECT_THAT(fault_of_all(by), HasSubstr("tls_client_ca: " + path("a.key") + " holds no certificate"));
}

TEST_F(Generation, TrustWithoutACertificateIsAFault) {
    server::tls_options by;
    by.client_ca = path("ca.crt");
    EXPECT_THAT(fault_of_all(by), HasSubstr("tls_certificate: it is empty"));
}

TEST_F(Generation, TwoOfTheSameFilesAreTheSame) {
    write("a", ours.issue());
    const auto key = server::tls::make_ticket_key();
    const server::tls::generation first(with("a"), "app", key), two(with("a"), "app", key);
    EXPECT_EQ(first.digest(), two.digest());
    write("a", ours.issue());
    const server::tls::generation three(with("a"), "app", key);
    EXPECT_NE(first.digest(), three.digest());
}

}  // namespace
