#include "server/tls/session.hpp"

#include <openssl/err.h>
#include <sys/socket.h>

#include <cerrno>
#include <new>
#include <utility>

#include "server/tls/record_buffers.hpp"

namespace server::tls {
namespace {

/// The names of methods are in upper case (RFC 9110 section 9), and no record begins so (RFC 8446 section 5.1).
bool is_clear(char first) noexcept { return first >= 'A' && first <= 'Z'; }

// Before anything uses OpenSSL.
[[maybe_unused]] const bool keeps_record_buffers = (keep_record_buffers(), true);

// A fatal alert, illegal_parameter (RFC 8446 section 6), in a record that every version reads.
constexpr std::string_view too_large("\x15\x03\x03\x00\x02\x02\x2f", 7);

/// A hello, and not by a request for another one.
bool has_answered(const SSL& session) noexcept {
    const auto state = SSL_get_state(&session);
    if (state == TLS_ST_BEFORE || state == TLS_ST_SR_CLNT_HELLO) return false;
    char none = 0;
    return SSL_version(&session) != TLS1_3_VERSION || SSL_get_finished(&session, &none, 0) > 0;
}

constexpr int alerts_from = 1'000;  // sslerr.h: SSL_AD_REASON_OFFSET, what the peer has sent

}  // namespace

std::string_view to_string(refusal why) noexcept {
    switch (why) {
        case refusal::clear_text: return "clear_text";
        case refusal::protocol: return "protocol";
        case refusal::cipher: return "cipher";
        case refusal::certificate_missing: return "certificate_missing";
        case refusal::certificate_refused: return "certificate_refused";
        case refusal::alert: return "alert";
        case refusal::malformed: return "malformed";
        case refusal::gone: return "gone";
        case refusal::cut: return "cut";
    }
    return "malformed";
}

const BIO_METHOD* session::method() {
    static const auto* const made = [] {
        auto* const fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
        if (fresh == nullptr) throw std::bad_alloc();
        BIO_meth_set_read_ex(fresh, receive);
        BIO_meth_set_write_ex(fresh, send);
        BIO_meth_set_ctrl(fresh, control);
        return fresh;
    }();
    return made;
}

session::session(std::shared_ptr<const generation> from, std::shared_ptr<tally> counts)
    : from_(std::move(from)), counts_(std::move(counts)), ssl_(from_->begin()) {
    auto* const bio = BIO_new(method());
    if (bio == nullptr) throw std::bad_alloc();
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_accept_state(ssl_.get());
}

session::~session() {
    if (shakes() && received_any_) counts_->add(refusal::cut);
}

// ── what OpenSSL calls ──────────────────────────────────────────────────────────────────────────

int session::receive(BIO* bio, char* into, std::size_t size, std::size_t* count) {
    auto& self = *static_cast<session*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const auto waits = [&] {
        self.blocked_ = true;
        BIO_set_retry_read(bio);
        return -1;
    };
    if (!self.may_receive_) return waits();
    ssize_t came = -1;
    do came = ::recv(self.socket_, into, size, MSG_DONTWAIT);
    while (came < 0 && errno == EINTR);
    self.drained_ = came < 0 || static_cast<std::size_t>(came) < size;
    if (came < 0 && errno == EAGAIN) return waits();
    if (came <= 0) {
        self.at_end_ = came == 0;
        return came < 0 ? -1 : 0;
    }
    *count = static_cast<std::size_t>(came);
    if (self.stage_ != stage::open && !self.allows({into, *count})) return -1;
    // What is not whole comes with the next turn of the loop, or one client would have all of it.
    if (self.drained_) self.may_receive_ = false;
    return 1;
}

/// Before OpenSSL sees it.
bool session::allows(std::span<const char> came) noexcept {
    if (!std::exchange(received_any_, true) && is_clear(came.front())) {
        stage_ = stage::clear;
        return false;
    }
    if (limit_.takes(came, SSL_version(ssl_.get()) == TLS1_2_VERSION)) return true;
    ::send(socket_, too_large.data(), too_large.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    why_ = "the hello is larger than 16 KiB";
    refuse(refusal::malformed);
    return false;
}

int session::send(BIO* bio, const char* bytes, std::size_t size, std::size_t* count) {
    auto& self = *static_cast<session*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const int how = MSG_DONTWAIT | MSG_NOSIGNAL | (self.more_follows_ ? MSG_MORE : 0);
    ssize_t went = -1;
    do went = ::send(self.socket_, bytes, size, how);
    while (went < 0 && errno == EINTR);
    if (went < 0 && errno == EAGAIN) {
        self.blocked_ = true;
        BIO_set_retry_write(bio);
    }
    if (went <= 0) return -1;
    *count = static_cast<std::size_t>(went);
    return 1;
}

long session::control(BIO* bio, int what, long, void*) {
    if (what == BIO_CTRL_FLUSH) return 1;
    if (what == BIO_CTRL_EOF) return static_cast<session*>(BIO_get_data(bio))->at_end_ ? 1 : 0;
    return 0;
}

// ── the layer ───────────────────────────────────────────────────────────────────────────────────

/// What has come of a record that is not whole stays inside.
transfer session::would_block() noexcept {
    holds_ = false;
    wants_room_ = SSL_want_write(ssl_.get());
    stirs_ = (shakes() && received_any_) || SSL_has_pending(ssl_.get()) == 1 ||
             SSL_rstate_string(ssl_.get()) == std::string_view("RB");
    return {};
}

/// Clearing OpenSSL's queue of errors takes longer than reading a record, and what others have left there would be
/// taken for a failure. So whether a call was blocked is known from the socket, and the queue is cleared after a
/// failure.
void session::begin(int socket, bool may_receive, bool more_follows) noexcept {
    socket_ = socket;
    may_receive_ = may_receive;
    more_follows_ = more_follows;
    blocked_ = drained_ = false;
}

transfer_end session::shake(int socket) noexcept {
    begin(socket, true, false);
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    if (done == 1) {
        opened();
        return transfer_end::done;
    }
    if (stage_ == stage::clear) counts_->add(refusal::clear_text);
    if (stage_ == stage::clear || stage_ == stage::failed) return transfer_end::ended;
    if (has_answered(*ssl_)) stage_ = stage::shaking;
    if (SSL_get_error(ssl_.get(), done) == SSL_ERROR_SSL) return refuse(reason());
    if (blocked_) return would_block().how;
    // The end of the socket, or an error of it.
    if (received_any_) counts_->add(refusal::gone);
    stage_ = stage::gone;
    stirs_ = wants_room_ = false;
    return transfer_end::ended;
}

void session::opened() noexcept {
    stage_ = stage::open;
    stirs_ = wants_room_ = false;
    holds_ = true;  // the request may have come with the end of the handshake
    const std::size_t version = SSL_version(ssl_.get()) == TLS1_3_VERSION ? 1 : 0;
    const std::size_t resumed = SSL_session_reused(ssl_.get()) == 1 ? 1 : 0;
    counts_->done[version][resumed].fetch_add(1, std::memory_order_relaxed);
    const unsigned char* chosen = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &chosen, &size);
    speaks_http2_ = size == 2 && chosen[0] == 'h' && chosen[1] == '2';
    const auto* const shown = SSL_get0_peer_certificate(ssl_.get());
    try {
        if (shown != nullptr) subject_ = subject_of(*shown);
    } catch (const std::bad_alloc&) {
        refuse(refusal::malformed);  // the client's name would not be known
        why_ = "there is no memory";
    }
}

transfer_end session::refuse(refusal by) noexcept {
    counts_->add(by);
    stage_ = stage::failed;
    stirs_ = holds_ = wants_room_ = false;
    return transfer_end::ended;
}

/// Of what OpenSSL has said last, which has told the client by an alert.
refusal session::reason() noexcept {
    const auto error = ERR_peek_last_error();
    const char* const text = ERR_reason_error_string(error);
    why_ = text != nullptr ? text : "what came is no handshake";
    const int code = ERR_GET_REASON(error);
    ERR_clear_error();
    if (ERR_GET_LIB(error) != ERR_LIB_SSL) return refusal::malformed;
    if (code >= alerts_from) return refusal::alert;
    switch (code) {
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_NO_PROTOCOLS_AVAILABLE:
        case SSL_R_VERSION_TOO_HIGH:
        case SSL_R_VERSION_TOO_LOW:
        case SSL_R_WRONG_VERSION_NUMBER: return refusal::protocol;
        case SSL_R_NO_SHARED_CIPHER:
        case SSL_R_NO_SHARED_GROUPS:
        case SSL_R_NO_SUITABLE_GROUPS:
        case SSL_R_NO_SUITABLE_KEY_SHARE:
        case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM: return refusal::cipher;
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            why_ = "the client has shown no certificate";
            return refusal::certificate_missing;
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
            why_ = X509_verify_cert_error_string(SSL_get_verify_result(ssl_.get()));
            return refusal::certificate_refused;
        case SSL_R_EXCESSIVE_MESSAGE_SIZE:
            why_ = "the client's certificates are larger than 32 KiB, or another message than it may be";
            return refusal::malformed;
        default: return refusal::malformed;
    }
}

transfer session::read(int socket, std::span<char> into, bool from_socket) noexcept {
    if (broken_) return {.how = transfer_end::ended};
    if (stage_ != stage::open || said_farewell_) {  // it is forgotten
        ssize_t count = -1;
        do count = ::recv(socket, into.data(), into.size(), MSG_DONTWAIT);
        while (count < 0 && errno == EINTR);
        if (count > 0) return {.how = transfer_end::done, .count = static_cast<std::size_t>(count)};
        return {.how = count < 0 && errno == EAGAIN ? transfer_end::would_block : transfer_end::ended};
    }
    begin(socket, from_socket, false);
    std::size_t count = 0;
    if (SSL_read_ex(ssl_.get(), into.data(), into.size(), &count) == 1) {
        holds_ = SSL_has_pending(ssl_.get()) == 1;
        stirs_ = wants_room_ = false;
        return {.how = transfer_end::done, .count = count};
    }
    if (blocked_) return would_block();
    ERR_clear_error();
    holds_ = true;  // the end, for as long as anybody asks
    stirs_ = wants_room_ = false;
    broken_ = SSL_get_error(ssl_.get(), 0) != SSL_ERROR_ZERO_RETURN;
    return {.how = transfer_end::ended};
}

transfer session::write(int socket, std::string_view bytes, bool last) noexcept {
    begin(socket, false, last);
    std::size_t count = 0;
    if (SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count) == 1)
        return {.how = transfer_end::done, .count = count};
    if (blocked_) return {};
    ERR_clear_error();
    broken_ = true;
    return {.how = transfer_end::ended};
}

/// RFC 8446 section 6.1: close_notify. That of the client is not waited for; most close without one.
transfer_end session::farewell(int socket) noexcept {
    if (stage_ != stage::open || said_farewell_ || broken_) return transfer_end::done;
    begin(socket, false, false);
    if (SSL_shutdown(ssl_.get()) < 0 && blocked_) return transfer_end::would_block;
    ERR_clear_error();
    said_farewell_ = true;
    holds_ = false;
    return transfer_end::done;
}

}  // namespace server::tls
