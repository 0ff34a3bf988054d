// A client of HTTP/2 that does what a test says, without a socket: bytes in, bytes out.
#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace http2_tests {

class peer {
public:
    using fields = std::vector<std::pair<std::string, std::string>>;
    struct answer {
        int status = 0;
        std::multimap<std::string, std::string> headers, trailers;
        std::string body;
        bool begun = false;                  ///< its head has come, also where nghttp2 does not look at it
        bool ended = false;                  ///< by END_STREAM
        std::optional<std::uint32_t> reset;  ///< with that code
        std::string header(const std::string& name) const {
            const auto found = headers.find(name);
            return found == headers.end() ? std::string() : found->second;
        }
    };
    struct goaway {
        std::int32_t last;
        std::uint32_t code;
        bool operator==(const goaway&) const = default;
    };

    /// `window`: of each stream; nghttp2 opens it again by itself as bytes come, unless `reads` is false.
    explicit peer(std::uint32_t window = 65'535, bool reads = true);

    /// Sends a request; the body follows by `send_body` where `body` is none and `has_body`.
    std::int32_t ask(std::string_view method, std::string_view path, const fields& more = {},
                     std::optional<std::string> body = std::nullopt, bool has_body = false);
    std::int32_t get(std::string_view path, const fields& more = {}) { return ask("GET", path, more); }
    void send_body(std::int32_t id, std::string bytes, bool last);
    /// Nothing of what was to be sent is left.
    bool sent(std::int32_t id) const { return uploads_.at(id).bytes.empty(); }
    void trail(std::int32_t id, const fields& some);
    void reset(std::int32_t id, std::uint32_t code = NGHTTP2_CANCEL);
    void open_window(std::int32_t id, std::int32_t bytes);
    void ping();

    /// What the server has sent. False: it is no HTTP/2.
    bool receive(std::string_view bytes);
    /// Looks for GOAWAY and RST_STREAM alone.
    void look(std::string_view bytes);
    /// What is to be sent to it.
    std::string take();

    std::map<std::int32_t, answer> answers;
    std::vector<goaway> goaways;
    std::map<std::int32_t, std::uint32_t> settings;
    int pings_answered = 0;
    bool holds_pings = false;  ///< those of the server stay unanswered, until `answer_pings`
    void answer_pings();

private:
    struct upload {
        std::string bytes;
        bool last = false;
        fields trailers;
    };
    struct deletes {
        void operator()(nghttp2_session* nghttp2_session) const { nghttp2_session_del(nghttp2_session); }
    };
    friend struct peer_calls;

    std::unique_ptr<nghttp2_session, deletes> session_;
    std::map<std::int32_t, upload> uploads_;
    std::vector<std::array<std::uint8_t, 8>> pings_;
    std::string seen_;  ///< of a frame that is not whole
};

/// A frame, byte for byte (RFC 9113 section 4.1).
std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t id, std::string_view payload);
inline const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

}  // namespace http2_tests
