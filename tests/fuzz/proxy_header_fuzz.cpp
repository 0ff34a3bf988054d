// The header of the PROXY protocol: arbitrary bytes, at once, byte by byte and in pieces. The outcome is the same; no
// more is taken than has come or a header may have; what is complete is complete again, and one that has a byte less
// is not.
#include <cstdint>
#include <cstdlib>
#include <ostream>  // Beast's string view uses and does not include it
#include <string>
#include <string_view>

#include "server/net/proxy_header.hpp"

namespace {

using server::proxy_header;
using progress = proxy_header::progress;

void require(bool condition) {
    if (!condition) std::abort();
}

struct outcome {
    progress how = progress::need_more;
    std::size_t taken = 0;
    std::string client;
    bool operator==(const outcome&) const = default;
};

template <class Length>
outcome read(std::string_view bytes, Length length) {
    proxy_header header;
    outcome seen;
    while (!bytes.empty() && seen.how == progress::need_more) {
        const auto piece = bytes.substr(0, length());
        const auto [how, taken] = header.feed(piece);
        require(taken > 0 && taken <= piece.size());
        require(how != progress::need_more || taken == piece.size());
        seen.how = how;
        seen.taken += taken;
        bytes.remove_prefix(piece.size());
    }
    require(header.begun() == (seen.taken > 0));
    require(!header.client() || seen.how == progress::complete);
    if (header.client()) seen.client = header.client()->text();
    return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto at_once = [] { return std::string_view::npos; };
    const auto whole = read(bytes, at_once);
    std::uint32_t state = data[0];
    const auto some = [&state] {
        state = state * 1'103'515'245U + 12'345U;
        return std::size_t{1} + (state >> 16) % 40;
    };
    require(read(bytes, [] { return std::size_t{1}; }) == whole);
    require(read(bytes, some) == whole);
    require(whole.taken <= proxy_header::longest_v2);
    if (whole.how == progress::need_more) require(whole.taken == bytes.size());
    if (whole.how != progress::complete) return 0;
    require(read(bytes.substr(0, whole.taken), at_once) == whole);
    require(read(bytes.substr(0, whole.taken - 1), at_once).how == progress::need_more);
    return 0;
}
