#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tests/support/eventually.hpp"
#include "tests/support/response_reader.hpp"

namespace support {

/// An address on this machine, from `127.0.0.1:8080` or `unix:PATH`.
struct endpoint {
    explicit endpoint(std::string_view text);
    sockaddr_in address() const;  ///< of one with a port
    std::string text() const;
    /// A stream socket that does not block.
    int make_socket() const;
    /// As connect(2).
    int connect(int socket) const;
    std::uint16_t port = 0;
    std::string path;
};

/// A client that does exactly what a test says and nothing by itself. Every wait ends at the
/// client's deadline. Only on one thread.
class client {
public:
    /// How the peer ended the connection, as far as is known.
    enum class ending { open, closed, reset, late };

    /// Connects; throws std::system_error (ECONNREFUSED …) when it cannot. One that the peer has ended by RST before
    /// this returns has been connected, and is `reset`. `receive_buffer`: bytes
    /// for SO_RCVBUF, 0: the system's.
    explicit client(const endpoint& to, milliseconds limit = milliseconds(20'000), int receive_buffer = 0);
    ~client();
    client(client&& other) noexcept;
    client& operator=(client&& other) noexcept;

    /// Sends everything; false when the connection is gone.
    bool send(std::string_view bytes);
    /// No more bytes from here: FIN.
    void finish_sending();
    /// Ends at once with RST.
    void reset();

    /// The next whole answer; none when the connection ended first, see `ended`.
    std::optional<response> receive(bool to_head = false);
    /// Sends a request and receives its answer.
    std::optional<response> exchange(std::string_view request, bool to_head = false);
    /// Reads about `bytes` of what comes, without looking at it; they stay part of the next answer.
    void receive_some(std::size_t bytes);
    /// Everything up to the end of the connection that is not an answer already taken.
    std::string receive_to_end();
    /// True when nothing has come that was not read: no byte and no end. Never waits.
    bool quiet() const;
    /// True when the peer ends the connection before `limit`, without another byte.
    bool closes_silently(milliseconds limit);

    ending ended() const noexcept { return ending_; }
    bool partial() const noexcept { return reader_.partial(); }
    /// The start of an answer that is not whole.
    const std::string& rest() const noexcept { return reader_.rest(); }

private:
    bool read_once(clock::time_point deadline);

    int socket_ = -1;
    milliseconds limit_;
    response_reader reader_;
    ending ending_ = ending::open;
};

/// `GET path` and its like, with the `Host` that HTTP/1.1 asks for.
std::string request(std::string_view method, std::string_view path, std::string_view headers = {},
                    std::string_view body = {});
inline std::string get(std::string_view path, std::string_view headers = {}) { return request("GET", path, headers); }

}  // namespace support
