#include "tests/tls/client.hpp"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

namespace tls_tests {
namespace {

BIO* reader_of(const std::string& pem) { return BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())); }

void show(SSL_CTX* to, const client::wish& how) {
    BIO* const certificate = reader_of(how.certificate);
    X509* const leaf = PEM_read_bio_X509(certificate, nullptr, nullptr, nullptr);
    BIO* const key = reader_of(how.key);
    EVP_PKEY* const secret = PEM_read_bio_PrivateKey(key, nullptr, nullptr, nullptr);
    if (SSL_CTX_use_cert_and_key(to, leaf, secret, nullptr, 1) != 1) throw std::runtime_error("no client certificate");
    X509_free(leaf);
    EVP_PKEY_free(secret);
    BIO_free(certificate);
    BIO_free(key);
}

void trust(SSL_CTX* to, const std::string& pem) {
    BIO* const from = reader_of(pem);
    while (X509* const read = PEM_read_bio_X509(from, nullptr, nullptr, nullptr)) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(to), read);
        X509_free(read);
    }
    BIO_free(from);
    ERR_clear_error();
    SSL_CTX_set_verify(to, SSL_VERIFY_PEER, nullptr);
}

}  // namespace

client::client(int socket, const wish& how)
    : socket_(socket), limit_(how.limit), context_(SSL_CTX_new(TLS_client_method())) {
    ::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes with write(2)
    auto* const context = context_.get();
    if (!how.ca.empty()) trust(context, how.ca);
    if (!how.certificate.empty()) show(context, how);
    if (how.version != 0) {
        SSL_CTX_set_min_proto_version(context, how.version);
        SSL_CTX_set_max_proto_version(context, how.version);
        if (how.version < TLS1_2_VERSION) SSL_CTX_set_security_level(context, 0);
    }
    if (!how.signatures.empty()) SSL_CTX_set1_sigalgs_list(context, how.signatures.c_str());
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_app_data(context, this);
    SSL_CTX_sess_set_new_cb(context, [](SSL* of, SSL_SESSION* fresh) {
        auto& self = *static_cast<client*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(of)));
        ++self.tickets_;
        self.ticket_.reset(fresh);
        return 1;
    });
    ssl_.reset(SSL_new(context));
    if (!how.name.empty()) SSL_set_tlsext_host_name(ssl_.get(), how.name.c_str());
    if (!how.name.empty() && !how.ca.empty()) SSL_set1_host(ssl_.get(), how.name.c_str());
    if (!how.protocols.empty())
        SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(how.protocols.data()),
                            static_cast<unsigned int>(how.protocols.size()));
    if (how.session != nullptr) SSL_set_session(ssl_.get(), how.session);
    ::fcntl(socket_, F_SETFL, ::fcntl(socket_, F_GETFL) | O_NONBLOCK);
    SSL_set_fd(ssl_.get(), socket_);
    SSL_set_connect_state(ssl_.get());
    SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

client::~client() { ::close(socket_); }

client::step client::after(int returned) {
    if (returned > 0) return step::done;
    const int error = SSL_get_error(ssl_.get(), returned);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return step::waits;
    const auto code = ERR_peek_last_error();
    const char* const text = ERR_reason_error_string(code);
    if (!ended_)
        why_ = text != nullptr ? text : error == SSL_ERROR_ZERO_RETURN ? "close_notify" : "the end of the socket";
    ERR_clear_error();
    ended_ = true;
    return step::failed;
}

client::step client::shake() {
    ERR_clear_error();
    return after(SSL_do_handshake(ssl_.get()));
}

void client::say_hello() {
    SSL_set0_rbio(ssl_.get(), BIO_new(BIO_s_mem()));
    shake();
    SSL_set_rfd(ssl_.get(), socket_);
}

client::step client::send(std::string_view bytes) {
    ERR_clear_error();
    return after(SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())));
}

client::step client::read() {
    char some[16'384];
    ERR_clear_error();
    const int count = SSL_read(ssl_.get(), some, sizeof some);
    if (count > 0) seen_.append(some, static_cast<std::size_t>(count));
    return after(count);
}

bool client::wait(support::clock::time_point deadline) const {
    const bool writes = SSL_want_write(ssl_.get()) == 1;
    pollfd waiting{.fd = socket_, .events = static_cast<short>(writes ? POLLOUT : POLLIN), .revents = 0};
    return ::poll(&waiting, 1, support::poll_timeout(deadline)) > 0;
}

bool client::readable(support::milliseconds limit) const {
    pollfd waiting{.fd = socket_, .events = POLLIN, .revents = 0};
    return SSL_pending(ssl_.get()) > 0 || ::poll(&waiting, 1, static_cast<int>(limit.count())) > 0;
}

bool client::connect() {
    const auto deadline = support::clock::now() + limit_;
    for (;;) {
        const auto come = shake();
        if (come != step::waits) return come == step::done;
        if (!wait(deadline)) return false;
    }
}

bool client::send_all(std::string_view bytes) {
    const auto deadline = support::clock::now() + limit_;
    while (!bytes.empty()) {
        ERR_clear_error();
        const int count = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
        if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
        const auto come = after(count);
        if (come == step::failed || (come == step::waits && !wait(deadline))) return false;
    }
    return true;
}

bool client::read_once(support::clock::time_point deadline) {
    for (;;) {
        const auto come = read();
        if (come != step::waits) return come == step::done;
        if (!wait(deadline)) return false;
    }
}

std::optional<support::response> client::receive(bool to_head) {
    const auto deadline = support::clock::now() + limit_;
    for (;;) {
        reader_.feed(std::string_view(seen_).substr(fed_));
        fed_ = seen_.size();
        if (auto answer = reader_.next(to_head)) return answer;
        if (!read_once(deadline)) return std::nullopt;
    }
}

std::string client::receive_to_end() {
    const auto deadline = support::clock::now() + limit_;
    while (read_once(deadline)) {}
    auto rest = reader_.rest() + seen_.substr(fed_);
    fed_ = seen_.size();
    return rest;
}

std::string client::protocol() const {
    const unsigned char* chosen = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &chosen, &size);
    return {reinterpret_cast<const char*>(chosen), size};
}

std::string client::subject() const {
    const X509* const shown = SSL_get0_peer_certificate(ssl_.get());
    if (shown == nullptr) return {};
    char name[256] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, name, sizeof name);
    return name;
}

}  // namespace tls_tests
