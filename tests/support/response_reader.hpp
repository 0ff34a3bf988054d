#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

/// One answer as a client sees it.
struct response {
    int status = 0;
    std::string version;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    bool chunked = false;

    /// The value of the first header of that name; empty when there is none.
    std::string_view header(std::string_view name) const;
    bool has(std::string_view name) const;
    /// `Connection: close`: the last answer on its connection.
    bool closes() const;
};

/// Cuts the bytes of a connection into answers (RFC 9112). Strict, and independent of the code under
/// test: throws std::runtime_error on what is not HTTP.
class response_reader {
public:
    void feed(std::string_view bytes) { buffer_.append(bytes); }

    /// The next whole answer, none while it is not whole. `to_head`: it answers HEAD and has no body.
    std::optional<response> next(bool to_head = false);

    /// True when bytes of an answer have come that is not whole.
    bool partial() const noexcept { return !buffer_.empty(); }
    const std::string& rest() const noexcept { return buffer_; }

private:
    std::string buffer_;
};

}  // namespace support
