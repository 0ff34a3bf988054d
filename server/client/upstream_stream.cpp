#include "server/client/upstream_stream.hpp"

#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <cerrno>
#include <utility>

#include "lifecycle/tls/server_name.hpp"

namespace server {

namespace asio = boost::asio;

upstream_stream::~upstream_stream() {
    if (!open_ || !tcp_.is_open()) return;
    error_code ignored;
    // The socket does not block: what is to be said goes out, and the answer is not waited for.
    if (tcp_.non_blocking(true, ignored); !ignored) tls_->shutdown(ignored);
}

lifecycle::awaitable<upstream_stream::error_code> upstream_stream::secure(client_tls::context_pointer by,
                                                                          std::string host) {
    by_ = std::move(by);
    auto& stream = tls_.emplace(tcp_, *by_);
    lifecycle::expect_server(*stream.native_handle(), host);
    auto shaking = stream.async_handshake(asio::ssl::stream_base::client, lifecycle::quietly);
    const auto [failed] = co_await std::move(shaking);
    open_ = !failed;
    co_return failed;
}

void upstream_stream::close() noexcept {
    error_code ignored;
    tcp_.close(ignored);
}

bool upstream_stream::is_quiet() noexcept {
    char byte = 0;
    if (!tls_) {
        const auto seen = ::recv(tcp_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        return seen < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }
    error_code error;
    if (tcp_.non_blocking(true, error); error) return false;
    tls_->read_some(asio::buffer(&byte, 1), error);
    return error == asio::error::would_block;
}

upstream_stream::time_limit::time_limit(upstream_stream& of, lifecycle::clock::time_point until)
    : of_(of), among_(lifecycle::sleepers::of(of.tcp_.get_executor())) {
    due = until;
    if (until != lifecycle::clock::time_point::max()) among_.add(*this);
}

upstream_stream::time_limit::~time_limit() {
    if (is_linked()) among_.remove(*this);
}

void upstream_stream::time_limit::go_on(lifecycle::clock::time_point) {
    passed_ = true;
    of_.close();
}

}  // namespace server
