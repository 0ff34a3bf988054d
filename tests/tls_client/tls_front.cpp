#include "tests/tls_client/tls_front.hpp"

#include <array>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <utility>

namespace tls_client {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;

/// One connection and that after it; there as long as a byte may come from either.
struct tls_front::relay : std::enable_shared_from_this<relay> {
    relay(tls_front& whose, tcp::socket socket)
        : front(whose), secure(std::move(socket), whose.tls_), behind(whose.io_) {}

    void begin() {
        secure.async_handshake(asio::ssl::stream_base::server, [me = shared_from_this()](error_code failed) {
            if (failed) return;
            me->behind.connect({asio::ip::address_v4::loopback(), me->front.behind_}, failed);
            if (failed) return;
            me->up();
            me->down();
        });
    }
    void up() {
        secure.async_read_some(asio::buffer(from_client), [me = shared_from_this()](error_code end, std::size_t count) {
            if (!end) asio::write(me->behind, asio::buffer(me->from_client, count), end);
            if (!end) return me->up();
            if (end == asio::error::eof) ++me->front.farewells_;
            error_code ignored;
            me->behind.shutdown(tcp::socket::shutdown_both, ignored);
        });
    }
    void down() {
        behind.async_read_some(asio::buffer(from_server), [me = shared_from_this()](error_code end, std::size_t count) {
            if (!end) asio::write(me->secure, asio::buffer(me->from_server, count), end);
            if (!end) return me->down();
            if (!me->front.how_.bare_end) me->secure.async_shutdown([me](error_code) { me->close(); });
            if (me->front.how_.bare_end) me->close();
        });
    }
    void close() {
        error_code ignored;
        secure.lowest_layer().close(ignored);
    }

    tls_front& front;
    asio::ssl::stream<tcp::socket> secure;
    tcp::socket behind;
    std::array<char, 4096> from_client, from_server;
};

tls_front::tls_front(std::uint16_t behind, const tls_tests::authority::pair& shows, const wish& how)
    : port_(listener_.local_endpoint().port()), behind_(behind), how_(how) {
    tls_.use_certificate_chain(asio::buffer(shows.certificate));
    tls_.use_private_key(asio::buffer(shows.key), asio::ssl::context::pem);
    auto* const native = tls_.native_handle();
    if (how.version != 0) {
        SSL_CTX_set_min_proto_version(native, how.version);
        SSL_CTX_set_max_proto_version(native, how.version);
    }
    constexpr unsigned char name[] = {'t'};
    SSL_CTX_set_session_id_context(native, name, sizeof name);
    SSL_CTX_set_tlsext_servername_callback(native, &tls_front::by_name);
    SSL_CTX_set_tlsext_servername_arg(native, this);
    if (!how.client_ca.empty()) {
        tls_.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
        tls_.add_certificate_authority(asio::buffer(how.client_ca));
    }
    accept_one();
    thread_ = std::jthread([this] { io_.run(); });
}

tls_front::~tls_front() { io_.stop(); }

std::string tls_front::asked_for() const {
    const std::scoped_lock lock(mutex_);
    return asked_for_;
}

void tls_front::accept_one() {
    listener_.async_accept([this](error_code failed, tcp::socket socket) {
        if (failed) return;
        std::make_shared<relay>(*this, std::move(socket))->begin();
        accept_one();
    });
}

int tls_front::by_name(SSL* session, int*, void* whose) {
    auto& me = *static_cast<tls_front*>(whose);
    const char* const name = SSL_get_servername(session, TLSEXT_NAMETYPE_host_name);
    const std::scoped_lock lock(me.mutex_);
    me.asked_for_ = name == nullptr ? "" : name;
    return SSL_TLSEXT_ERR_OK;
}

}  // namespace tls_client
