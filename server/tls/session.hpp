#pragma once

#include <memory>
#include <string>

#include "server/net/layer.hpp"
#include "server/tls/generation.hpp"
#include "server/tls/hello_limit.hpp"
#include "server/tls/tally.hpp"

namespace server::tls {

/// The TLS of one connection, the server's side: OpenSSL with a BIO of ours, which receives into OpenSSL's own buffer,
/// as much as there is in one call, and sends from it. So nothing is copied and no buffer stays that has been large; at
/// rest OpenSSL frees its own.
///
/// What not to do: rest while it `holds` something. Write other bytes than those that would block.
class session final : public layer {
public:
    /// Keeps `from`. `counts` outlives it. Throws std::bad_alloc.
    session(std::shared_ptr<const generation> from, std::shared_ptr<tally> counts);
    ~session() override;
    session(const session&) = delete;
    session& operator=(const session&) = delete;

    transfer_end shake(int socket) noexcept override;
    transfer read(int socket, std::span<char> into, bool from_socket) noexcept override;
    transfer write(int socket, std::string_view bytes, bool last) noexcept override;
    transfer_end farewell(int socket) noexcept override;
    std::string_view why() const noexcept override { return why_; }
    std::string_view subject() const noexcept override { return subject_; }

private:
    static const BIO_METHOD* method();
    static int receive(BIO* bio, char* into, std::size_t size, std::size_t* count);
    static int send(BIO* bio, const char* bytes, std::size_t size, std::size_t* count);
    static long control(BIO* bio, int what, long, void*);

    void begin(int socket, bool may_receive, bool more_follows) noexcept;
    bool allows(std::span<const char> came) noexcept;
    void opened() noexcept;
    transfer_end refuse(refusal by) noexcept;
    refusal reason() noexcept;
    transfer would_block() noexcept;

    std::shared_ptr<const generation> from_;
    std::shared_ptr<tally> counts_;
    std::string subject_;
    std::string_view why_;
    int socket_ = -1;            ///< of the call that is under way
    bool may_receive_ = false;   ///< in this call, once
    bool more_follows_ = false;  ///< after what is sent in this call
    bool blocked_ = false;       ///< in this call, by the socket
    bool received_any_ = false;
    bool at_end_ = false;         ///< the socket has nothing more, ever
    bool said_farewell_ = false;  ///< what still comes is forgotten as it is
    bool broken_ = false;
    hello_limit limit_;
    session_pointer ssl_;  // last: it calls back while it is freed
};

}  // namespace server::tls
