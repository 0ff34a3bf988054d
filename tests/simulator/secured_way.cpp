#define OPENSSL_SUPPRESS_DEPRECATED  // the way of OpenSSL 3 to give it random numbers is a provider of one's own
#include "tests/simulator/secured_way.hpp"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <sys/random.h>

#include <algorithm>
#include <stdexcept>

namespace simulator {
namespace {

using server::tls::bio_pointer;
using server::tls::certificate_pointer;
using server::tls::context_pointer;
using server::tls::key_pointer;

int some_bytes(unsigned char* into, int count) {
    return ::getrandom(into, static_cast<std::size_t>(count), 0) == count ? 1 : 0;
}
int is_seeded() { return 1; }
const RAND_METHOD by_seed{.seed = nullptr,
                          .bytes = some_bytes,
                          .cleanup = nullptr,
                          .add = nullptr,
                          .pseudorand = some_bytes,
                          .status = is_seeded};

void need(bool done, const char* what) {
    if (!done) throw std::runtime_error(std::string("OpenSSL cannot ") + what);
}

template <class Write>
std::string pem(const Write& write) {
    const bio_pointer to(BIO_new(BIO_s_mem()));
    need(write(to.get()) == 1, "write PEM");
    const char* bytes = nullptr;
    const auto count = BIO_get_mem_data(to.get(), &bytes);
    return {bytes, static_cast<std::size_t>(count)};
}

identity made_identity() {
    const key_pointer key(EVP_EC_gen("P-256"));
    const certificate_pointer made(X509_new());
    need(key && made, "make a key");
    auto* const its = made.get();
    X509_set_version(its, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(its), 1);
    ASN1_TIME_set_string_X509(X509_getm_notBefore(its), "20200101000000Z");
    ASN1_TIME_set_string_X509(X509_getm_notAfter(its), "21200101000000Z");
    X509_NAME_add_entry_by_NID(X509_get_subject_name(its), NID_commonName, MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>("simulated"), -1, -1, 0);
    X509_set_issuer_name(its, X509_get_subject_name(its));
    X509_set_pubkey(its, key.get());
    need(X509_sign(its, key.get(), EVP_sha256()) > 0, "sign");
    return {
        .certificate = pem([&](BIO* to) { return PEM_write_bio_X509(to, its); }),
        .key = pem(
            [&](BIO* to) { return PEM_write_bio_PrivateKey(to, key.get(), nullptr, nullptr, 0, nullptr, nullptr); }),
    };
}

SSL_CTX* of_clients() {
    static const context_pointer made(SSL_CTX_new(TLS_client_method()));
    need(made != nullptr, "make a client");
    return made.get();
}

}  // namespace

const identity& own_identity() {
    static const auto made = made_identity();
    return made;
}

void seed_openssl() {
    // Nothing of it is given back at the end: what a simulated thread has kept there is no real thread's.
    need(OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, nullptr) == 1 && RAND_set_rand_method(&by_seed) == 1, "begin");
    own_identity();
    of_clients();
}

secured_way::secured_way(kernel& on, nanoseconds one_way, std::uint64_t loss, guest& whose)
    : way(on, one_way, loss, true), guest_(whose), ssl_(SSL_new(of_clients())) {
    need(ssl_ != nullptr, "make a session");
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl_.get(), in_, out_);
    SSL_set_connect_state(ssl_.get());
    // RFC 7301: what a session of HTTP/2 offers, and what all others do.
    const std::string_view offered = whose.what() == script::streams ? "\x02h2" : "\x08http/1.1";
    SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(offered.data()),
                        static_cast<unsigned>(offered.size()));
    if (on.chance().one_in(3)) SSL_set_max_proto_version(ssl_.get(), TLS1_2_VERSION);
}

void secured_way::flush() {
    const char* bytes = nullptr;
    const auto count = BIO_get_mem_data(out_, &bytes);
    if (count <= 0) return;
    std::string some(bytes, static_cast<std::size_t>(count));
    BIO_reset(out_);
    sent_ += some.size();
    way::send(std::move(some));
}

bool secured_way::shake() {
    ERR_clear_error();
    const bool done = SSL_do_handshake(ssl_.get()) == 1;
    ERR_clear_error();
    flush();
    if (!done) return false;
    is_open_ = true;
    shaken_ = sent_;
    guest_.established();
    return true;
}

void secured_way::send(std::string bytes) {
    for (std::string_view left = bytes; !left.empty();) {
        ERR_clear_error();
        const int count = SSL_write(ssl_.get(), left.data(), static_cast<int>(left.size()));
        ERR_clear_error();
        if (count <= 0) return;  // the server has ended it by an alert
        left.remove_prefix(static_cast<std::size_t>(count));
    }
    flush();
    clear_ += bytes.size();
    ends_.emplace_back(clear_, sent_);
}

void secured_way::finish() {
    if (is_open_) SSL_shutdown(ssl_.get());
    ERR_clear_error();
    flush();
    way::finish();
}

/// A record counts when all of it is there.
bool secured_way::had(std::uint64_t bytes) const {
    const auto found = std::ranges::lower_bound(ends_, bytes, {}, [](const auto& end) { return end.first; });
    return bytes == 0 || (found != ends_.end() && arrived_at_fin >= found->second);
}

void secured_way::received(std::string_view bytes) {
    BIO_write(in_, bytes.data(), static_cast<int>(bytes.size()));
    if (!is_open_ && !shake()) return;
    char some[16 * 1024];
    while (client != nullptr) {  // it has not left
        ERR_clear_error();
        const int count = SSL_read(ssl_.get(), some, sizeof some);
        ERR_clear_error();
        if (count <= 0) break;
        guest_.received({some, static_cast<std::size_t>(count)});
    }
    flush();
}

/// Where the server has not seen the end of the handshake, OpenSSL sends none.
void secured_way::finished() {
    const bool is_told = (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
    if (is_open_ && arrived_at_fin >= shaken_ && !is_told) guest_.ended_without_farewell();
    guest_.finished();
}

}  // namespace simulator
