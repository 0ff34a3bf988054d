#include "tests/tls/authority.hpp"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <stdexcept>

#include "tests/support/process.hpp"

namespace tls_tests {
namespace {

void need(bool done, const char* what) {
    if (!done) throw std::runtime_error(std::string("OpenSSL cannot: ") + what);
}

EVP_PKEY* made_key(authority::kind kind) {
    EVP_PKEY* key = nullptr;
    switch (kind) {
        case authority::kind::p256: key = EVP_EC_gen("P-256"); break;
        case authority::kind::rsa: key = EVP_RSA_gen(2048); break;
        case authority::kind::small_rsa: key = EVP_RSA_gen(1024); break;
    }
    need(key != nullptr, "make a key");
    return key;
}

template <class Write>
std::string pem(const Write& write) {
    BIO* const to = BIO_new(BIO_s_mem());
    need(write(to) == 1, "write PEM");
    const char* bytes = nullptr;
    const auto count = BIO_get_mem_data(to, &bytes);
    std::string text(bytes, static_cast<std::size_t>(count));
    BIO_free(to);
    return text;
}

std::string pem_of(X509* certificate) {
    return pem([&](BIO* to) { return PEM_write_bio_X509(to, certificate); });
}

std::string pem_of(EVP_PKEY* key) {
    return pem([&](BIO* to) { return PEM_write_bio_PrivateKey(to, key, nullptr, nullptr, 0, nullptr, nullptr); });
}

void extend(X509* certificate, X509* issuer, int what, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
    need(extension != nullptr, "make an extension");
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/// Unsigned. Of two by one issuer the serial numbers differ.
X509* made_certificate(const authority::wish& wanted, EVP_PKEY* key) {
    static std::atomic<long> serial{1};
    X509* const made = X509_new();
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made), std::chrono::seconds(wanted.from).count());
    X509_gmtime_adj(X509_getm_notAfter(made), std::chrono::seconds(wanted.until).count());
    X509_NAME_add_entry_by_NID(X509_get_subject_name(made), NID_commonName, MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(wanted.subject.c_str()), -1, -1, 0);
    X509_set_pubkey(made, key);
    return made;
}

}  // namespace

authority::authority(const std::string& name) : key_(made_key(kind::p256)) {
    certificate_.reset(made_certificate({.subject = name, .names = {}}, key_.get()));
    X509_set_issuer_name(certificate_.get(), X509_get_subject_name(certificate_.get()));
    extend(certificate_.get(), certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
    need(X509_sign(certificate_.get(), key_.get(), EVP_sha256()) > 0, "sign");
}

authority authority::below(const std::string& name) {
    authority made(name);
    X509_set_issuer_name(made.certificate_.get(), X509_get_subject_name(certificate_.get()));
    need(X509_sign(made.certificate_.get(), key_.get(), EVP_sha256()) > 0, "sign");
    made.chain_ = pem_of(made.certificate_.get()) + chain_;
    return made;
}

authority::pair authority::issue(const wish& wanted) {
    const std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>> key(made_key(wanted.key));
    const std::unique_ptr<X509, freed_by<X509_free>> leaf(made_certificate(wanted, key.get()));
    X509_set_issuer_name(leaf.get(), X509_get_subject_name(certificate_.get()));
    std::string names;
    for (const auto& name : wanted.names) {
        const bool address = name.find_first_not_of("0123456789.") == name.npos;
        names += (names.empty() ? "" : ",") + std::string(address ? "IP:" : "DNS:") + name;
    }
    if (!names.empty()) extend(leaf.get(), certificate_.get(), NID_subject_alt_name, names);
    need(X509_sign(leaf.get(), key_.get(), EVP_sha256()) > 0, "sign");
    return {.certificate = pem_of(leaf.get()) + chain_, .key = pem_of(key.get())};
}

authority::pair authority::own() const { return {.certificate = certificate(), .key = pem_of(key_.get())}; }

std::string authority::certificate() const { return pem_of(certificate_.get()); }

void authority::write(const std::filesystem::path& folder, const std::string& name, const pair& what) {
    support::write_file(folder / (name + ".key"), what.key);
    std::filesystem::permissions(folder / (name + ".key"),
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    support::write_file(folder / (name + ".crt"), what.certificate);
}

std::string encrypted(const std::string& key) {
    BIO* const from = BIO_new_mem_buf(key.data(), static_cast<int>(key.size()));
    EVP_PKEY* const read = PEM_read_bio_PrivateKey(from, nullptr, nullptr, nullptr);
    BIO_free(from);
    need(read != nullptr, "read a key");
    auto text = pem([&](BIO* to) {
        return PEM_write_bio_PKCS8PrivateKey(to, read, EVP_aes_256_cbc(), "secret", 6, nullptr, nullptr);
    });
    EVP_PKEY_free(read);
    return text;
}

}  // namespace tls_tests
