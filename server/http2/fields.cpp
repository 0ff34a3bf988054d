#include "server/http2/fields.hpp"

#include <algorithm>
#include <array>

namespace server::http2 {
namespace {

std::uint8_t* bytes_of(std::string_view text) noexcept {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
}

/// RFC 9113 section 8.2.2: what belongs to one connection of HTTP/1.1, and what is sent by the server itself.
bool is_not_sent(std::string_view name) noexcept {
    constexpr std::array<std::string_view, 6> some{"connection",        "keep-alive", "proxy-connection",
                                                   "transfer-encoding", "upgrade",    "content-length"};
    return std::ranges::find(some, name) != some.end();
}

void put(std::vector<nghttp2_nv>& to, std::string_view name, std::string_view value, int how) {
    to.push_back({bytes_of(name), bytes_of(value), name.size(), value.size(), static_cast<std::uint8_t>(how)});
}

}  // namespace

void add(std::vector<nghttp2_nv>& to, own_name name, std::string_view value) {
    put(to, name.text, value, NGHTTP2_NV_FLAG_NO_COPY_NAME);
}

void add_unique(std::vector<nghttp2_nv>& to, own_name name, std::string_view value) {
    put(to, name.text, value, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_INDEX);
}

void add_lines(std::vector<nghttp2_nv>& to, std::string& names, std::string_view lines) {
    while (!lines.empty()) {
        const auto line = lines.substr(0, lines.find('\r'));
        lines.remove_prefix(line.size() + 2);
        const auto colon = line.find(':');
        const auto from = names.size();
        for (const char byte : line.substr(0, colon))
            names += byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + ('a' - 'A')) : byte;
        const auto name = std::string_view(names).substr(from);
        if (!is_not_sent(name)) put(to, name, line.substr(colon + 2), NGHTTP2_NV_FLAG_NONE);
    }
}

}  // namespace server::http2
