#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tests/support/eventually.hpp"
#include "tests/support/response_reader.hpp"

namespace tls_tests {

/// The client's side of TLS on a socket that it owns and does not wait for, in steps: a test with both sides moves them
/// by turns, and one with another process waits. Only on one thread.
class client {
public:
    struct wish {
        std::string ca = {};                     ///< PEM; empty: it trusts everybody
        std::string name = {};                   ///< of the server, as it is asked for
        std::string certificate = {}, key = {};  ///< its own, PEM
        int version = 0;                         ///< TLS1_2_VERSION, TLS1_3_VERSION; 0: any
        std::string protocols = {};              ///< as ALPN has them on the wire
        std::string signatures = {};             ///< algorithms, as OpenSSL names them
        SSL_SESSION* session = nullptr;          ///< that is to be resumed
        support::milliseconds limit{20'000};
    };
    enum class step { done, waits, failed };

    client(int socket, const wish& how);
    ~client();
    client(const client&) = delete;
    client& operator=(const client&) = delete;

    // By turns; nothing waits.

    step shake();
    /// Its hello, and no more: what answers it is not read, though it may be there at once.
    void say_hello();
    step send(std::string_view bytes);
    /// What has come is added to `seen`.
    step read();

    // With the other side in another thread or process.

    bool connect();
    bool send_all(std::string_view bytes);
    /// The next whole answer.
    std::optional<support::response> receive(bool to_head = false);
    std::optional<support::response> exchange(std::string_view request) {
        return send_all(request) ? receive() : std::nullopt;
    }
    /// To the end of what comes.
    std::string receive_to_end();
    /// Whether something may be read before the limit.
    bool readable(support::milliseconds limit) const;

    /// As it was told by close_notify, and not by a bare FIN.
    bool told_of_end() const { return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }
    bool ended() const { return ended_; }
    const std::string& seen() const { return seen_; }
    SSL* ssl() { return ssl_.get(); }
    int socket() const { return socket_; }
    std::string protocol() const;
    /// Of the server's certificate.
    std::string subject() const;
    bool resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
    /// Tickets that have come, and the last of them, which its caller frees.
    int tickets() const { return tickets_; }
    SSL_SESSION* ticket() const { return ticket_.get(); }
    /// The last thing that OpenSSL had to say.
    const std::string& why() const { return why_; }

private:
    template <auto free>
    struct freed_by {
        template <class T>
        void operator()(T* object) const {
            free(object);
        }
    };
    step after(int returned);
    bool wait(support::clock::time_point deadline) const;
    bool read_once(support::clock::time_point deadline);

    int socket_;
    support::milliseconds limit_;
    std::unique_ptr<SSL_CTX, freed_by<SSL_CTX_free>> context_;
    std::unique_ptr<SSL_SESSION, freed_by<SSL_SESSION_free>> ticket_;
    std::unique_ptr<SSL, freed_by<SSL_free>> ssl_;
    support::response_reader reader_;
    std::string seen_, why_;
    std::size_t fed_ = 0;  ///< of `seen_`
    int tickets_ = 0;
    bool ended_ = false;
};

}  // namespace tls_tests
