#include "server/tls/generation.hpp"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "lifecycle/tls/algorithms.hpp"
#include "lifecycle/tls/extensions.hpp"
#include "server/tls/fault.hpp"

namespace server::tls {
namespace {

constexpr long session_life = 7'200;          // s
constexpr long most_of_a_client = 32 * 1024;  // bytes of its certificates: four of RSA-4096 have 8 KB
constexpr std::string_view http1 = "http/1.1";
constexpr std::string_view http2 = "h2";

// Forward secrecy and authenticated encryption, or nothing: for TLS 1.2. Those of TLS 1.3 are all of that kind.
constexpr const char* ciphers_of_1_2 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE+AESGCM:ECDHE+CHACHA20";
// AES-128 before AES-256: a download costs a fifth less, and nobody can break either.
constexpr const char* ciphers_of_1_3 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

std::string digest_of(std::string_view bytes) {
    std::string made(32, '\0');
    unsigned int size = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(made.data()), &size, EVP_sha256(),
                   nullptr) != 1)
        throw std::bad_alloc();
    return made;
}

int refuses_password(char*, int, int, void*) { return -1; }

std::string reason() {
    const char* const text = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return text != nullptr ? text : "no reason is given";
}

}  // namespace

ticket_key make_ticket_key() {
    ticket_key made;
    if (RAND_bytes(reinterpret_cast<unsigned char*>(&made), sizeof made) != 1)
        throw std::runtime_error("TLS: the system has no random bytes");
    return made;
}

generation::generation(const tls_options& by, std::string_view listener, const ticket_key& at_random) {
    lifecycle::make_algorithms();
    if (by.certificate.size() != by.key.size())
        throw fault("tls_key",
                    fmt::format("there are {} keys for {} certificates", by.key.size(), by.certificate.size()),
                    "a key for each certificate, in the same order");
    if (by.certificate.empty())
        throw fault("tls_certificate", "it is empty, and there is a client CA or a ticket key",
                    "a certificate and its key, or none of them");
    read_trust(by.client_ca);
    identity_ = digest_of(fmt::format("{}|{}|{}", listener, by.client_ca.empty() ? "any" : "verified", digest_));
    read_ticket_keys(by.ticket_key, at_random);
    for (std::size_t nth = 0; nth < by.certificate.size(); ++nth)
        add(read_certificate(by.certificate[nth], by.key[nth]), by);
}

void generation::read_trust(const std::string& file) {
    if (file.empty()) return;
    const auto pem = bytes_of("tls_client_ca", file);
    trusted_ = certificates_of("tls_client_ca", file, pem);
    digest_ = digest_of(pem);
}

void generation::read_ticket_keys(const std::string& file, const ticket_key& at_random) {
    if (file.empty()) return ticket_keys_.push_back(at_random);
    constexpr auto allowed =
        "a file of 80 bytes (`openssl rand 80`), or of several such keys, of which the first is for new tickets";
    auto bytes = bytes_of("tls_ticket_key", file, allowed);
    constexpr auto each = sizeof(ticket_key);
    if (bytes.empty() || bytes.size() % each != 0)
        throw fault("tls_ticket_key", fmt::format("{} has {} bytes", file, bytes.size()), allowed);
    ticket_keys_.resize(bytes.size() / each);
    std::memcpy(ticket_keys_.data(), bytes.data(), bytes.size());
    if (is_open_to_all(file)) warnings_.push_back(fmt::format("everybody may read the keys of tickets in {}", file));
    digest_ = digest_of(digest_ + bytes);
    OPENSSL_cleanse(bytes.data(), bytes.size());
}

/// Certificates of the same names and other kinds of key are served by one context: the client says which it can do.
SSL_CTX* generation::context_for(const certificate& certificate, const tls_options& by) {
    const int kind = EVP_PKEY_get_base_id(certificate.key.get());
    const std::set<std::string> names(certificate.names.begin(), certificate.names.end());
    for (std::size_t nth = 0; nth < contexts_.size(); ++nth) {
        auto& kinds = kinds_of_[nth];
        if (names_of_[nth] != names || std::ranges::find(kinds, kind) != kinds.end()) continue;
        kinds.push_back(kind);
        return contexts_[nth].get();
    }
    context_pointer made(SSL_CTX_new(TLS_server_method()));
    if (!made) throw std::bad_alloc();
    set_up(*made, by);
    contexts_.push_back(std::move(made));
    names_of_.push_back(names);
    kinds_of_.push_back({kind});
    return contexts_.back().get();
}

void generation::add(certificate certificate, const tls_options& by) {
    auto* const context = context_for(certificate, by);
    const std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> chain(sk_X509_new_null(),
                                                                           [](auto* all) { sk_X509_free(all); });
    if (!chain) throw std::bad_alloc();
    for (const auto& next : certificate.chain) sk_X509_push(chain.get(), next.get());
    ERR_clear_error();
    // It takes references to all of them.
    if (SSL_CTX_use_cert_and_key(context, certificate.leaf.get(), certificate.key.get(), chain.get(), 1) != 1 ||
        SSL_CTX_check_private_key(context) != 1)
        throw fault(
            "tls_certificate",
            fmt::format("the certificate of {} in {} is refused ({})", certificate.subject, certificate.file, reason()),
            "a certificate and a key of at least 112 bits of security (RSA of 2048 bits, ECDSA P-256)");
    for (const auto& name : certificate.names) by_name_.emplace(name, context);  // the first of two stays
    if (certificate.key_is_open)
        warnings_.push_back(fmt::format("everybody may read the key of the certificate in {}", certificate.file));
    if (const auto issuer = missing_issuer(certificate, trusted_); !issuer.empty())
        warnings_.push_back(
            fmt::format("the certificate of {} in {} comes without that of its issuer, {}, which this machine does not "
                        "trust: if that is no root, clients refuse it",
                        certificate.subject, certificate.file, issuer));
    shown_.push_back({.file = certificate.file, .subject = certificate.subject, .not_after = certificate.not_after});
    digest_ = digest_of(digest_ + digest_of(certificate.bytes));
    OPENSSL_cleanse(certificate.bytes.data(), certificate.bytes.size());
}

void generation::trust(SSL_CTX& context) const {
    auto* const store = SSL_CTX_get_cert_store(&context);
    for (const auto& authority : trusted_) {
        X509_STORE_add_cert(store, authority.get());
        SSL_CTX_add_client_CA(&context, authority.get());
    }
    ERR_clear_error();  // one that is there twice
    lifecycle::read_extensions(&context);
    SSL_CTX_set_verify(&context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_max_cert_list(&context, most_of_a_client);
    // A ticket carries what was verified once, and it would not be verified again.
    SSL_CTX_set_options(&context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(&context, 0);
}

void generation::set_up(SSL_CTX& context, const tls_options& by) {
    SSL_CTX_set_app_data(&context, this);
    SSL_CTX_set_options(&context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                      SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
    // Memory only while there is something in it; and what has been written is found elsewhere at the next try.
    SSL_CTX_set_mode(&context,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_min_proto_version(&context, by.min_version == "1.3" ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(&context, TLS1_3_VERSION);
    SSL_CTX_set_cipher_list(&context, ciphers_of_1_2);
    SSL_CTX_set_ciphersuites(&context, ciphers_of_1_3);
    SSL_CTX_set_read_ahead(&context, 1);  // one call of the socket for all that is there
    SSL_CTX_set_max_early_data(&context, 0);
    SSL_CTX_set_default_passwd_cb(&context, refuses_password);
    SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_OFF);  // tickets hold all there is
    SSL_CTX_set_timeout(&context, session_life);
    SSL_CTX_set_num_tickets(&context, 1);
    SSL_CTX_set_session_id_context(&context, reinterpret_cast<const unsigned char*>(identity_.data()),
                                   static_cast<unsigned int>(identity_.size()));
    SSL_CTX_set_alpn_select_cb(&context, by_protocol, by.http2 ? &context : nullptr);
    SSL_CTX_set_tlsext_servername_callback(&context, by_name);
    SSL_CTX_set_tlsext_servername_arg(&context, this);
    if (ticket_keys_.size() == 1)
        SSL_CTX_set_tlsext_ticket_keys(&context, ticket_keys_.data(), sizeof(ticket_key));
    else
        SSL_CTX_set_tlsext_ticket_key_evp_cb(&context, by_ticket);
    if (!trusted_.empty()) trust(context);
}

session_pointer generation::begin() const {
    session_pointer made(SSL_new(contexts_.front().get()));
    if (!made) throw std::bad_alloc();
    return made;
}

/// RFC 6066 section 3. A name that is not known gets the first certificate: the client sees whether that is enough.
int generation::by_name(SSL* session, int*, void* whose) {
    const auto& self = *static_cast<const generation*>(whose);
    const char* const asked = SSL_get_servername(session, TLSEXT_NAMETYPE_host_name);
    if (asked == nullptr) return SSL_TLSEXT_ERR_NOACK;
    char low[256];
    const auto size = std::min(std::strlen(asked), sizeof low);
    std::transform(asked, asked + size, low,
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    std::string_view name(low, size);
    auto found = self.by_name_.find(name);
    if (const auto dot = name.find('.'); found == self.by_name_.end() && dot != name.npos && dot > 0) {
        low[dot - 1] = '*';  // RFC 6125 section 6.4.3: the whole of the leftmost label
        found = self.by_name_.find(name.substr(dot - 1));
    }
    if (found == self.by_name_.end()) return SSL_TLSEXT_ERR_NOACK;
    if (SSL_get_SSL_CTX(session) != found->second) SSL_set_SSL_CTX(session, found->second);
    return SSL_TLSEXT_ERR_OK;
}

/// RFC 7301. Where nothing is in common HTTP/1.1 is spoken all the same: to more than half of the clients an alert
/// would be the end, and they speak it.
int generation::by_protocol(SSL*, const unsigned char** chosen, unsigned char* length, const unsigned char* offered,
                            unsigned int size, void* has_http2) {
    int found = SSL_TLSEXT_ERR_NOACK;
    for (unsigned int at = 0; at < size && at + offered[at] < size; at += offered[at] + 1U) {
        const std::string_view text(reinterpret_cast<const char*>(offered + at + 1), offered[at]);
        const bool is_http2 = has_http2 != nullptr && text == http2;
        if (text != http1 && !is_http2) continue;
        *chosen = offered + at + 1;
        *length = offered[at];
        found = SSL_TLSEXT_ERR_OK;
        if (is_http2) break;  // ours is the choice, and it is the better one
    }
    return found;
}

/// Several keys: the first seals, all open, and a ticket that another than the first has opened is sealed again.
int generation::by_ticket(SSL* session, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                          EVP_MAC_CTX* mac, int sealing) {
    const auto& keys = static_cast<const generation*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(session)))->ticket_keys_;
    auto key = keys.begin();
    if (sealing != 0) {
        if (RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1) return -1;
        std::memcpy(name, key->name.data(), key->name.size());
    } else {
        key = std::ranges::find_if(
            keys, [&](const auto& candidate) { return std::memcmp(name, candidate.name.data(), 16) == 0; });
        if (key == keys.end()) return 0;
    }
    char digest[] = "SHA256";
    auto secret = key->mac;
    const OSSL_PARAM how[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret.data(), secret.size()),
                              OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                              OSSL_PARAM_construct_end()};
    const bool made = EVP_MAC_CTX_set_params(mac, how) == 1 &&
                      EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key->cipher.data(), iv, sealing) == 1;
    OPENSSL_cleanse(secret.data(), secret.size());
    if (!made) return -1;
    return sealing != 0 || key == keys.begin() ? 1 : 2;
}

}  // namespace server::tls
