#include "server/tls/ask.hpp"

#include <poll.h>

#include <algorithm>
#include <chrono>

#include "server/tls/openssl.hpp"

namespace server::tls {
namespace {

constexpr std::size_t enough = 4096;

/// False: what `step` waits for has not come before `until`, or never will.
template <class Step>
bool complete(SSL& session, int socket, lifecycle::clock::time_point until, Step step) {
    for (;;) {
        const int made = step();
        if (made > 0) return true;
        const int wants = SSL_get_error(&session, made);
        if (wants != SSL_ERROR_WANT_READ && wants != SSL_ERROR_WANT_WRITE) return false;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - lifecycle::clock::now()).count();
        pollfd waiting{socket, static_cast<short>(wants == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT), 0};
        if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(std::min<decltype(left)>(left, 60'000))) <= 0)
            return false;
    }
}

}  // namespace

std::string ask(int socket, std::string_view request, const tls_options& of_both, lifecycle::clock::time_point until) {
    const context_pointer context(SSL_CTX_new(TLS_client_method()));
    if (!context) return {};
    if (!of_both.client_ca.empty() && !of_both.certificate.empty() && !of_both.key.empty()) {
        SSL_CTX_set_default_passwd_cb(context.get(), [](char*, int, int, void*) { return 0; });
        SSL_CTX_use_certificate_chain_file(context.get(), of_both.certificate.front().c_str());
        SSL_CTX_use_PrivateKey_file(context.get(), of_both.key.front().c_str(), SSL_FILETYPE_PEM);
    }
    const session_pointer session(SSL_new(context.get()));
    if (!session || SSL_set_fd(session.get(), socket) != 1) return {};
    auto& ssl = *session;
    if (!complete(ssl, socket, until, [&] { return SSL_connect(&ssl); })) return {};
    const auto size = static_cast<int>(request.size());
    if (!complete(ssl, socket, until, [&] { return SSL_write(&ssl, request.data(), size); })) return {};
    std::string answer(enough, '\0');
    std::size_t received = 0;
    while (received < answer.size()) {
        std::size_t count = 0;
        const auto read = [&] { return SSL_read_ex(&ssl, answer.data() + received, answer.size() - received, &count); };
        if (!complete(ssl, socket, until, read)) break;
        received += count;
    }
    answer.resize(received);
    return answer;
}

}  // namespace server::tls
