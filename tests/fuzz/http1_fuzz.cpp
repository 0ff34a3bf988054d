// Arbitrary bytes in arbitrary pieces: the parser never fails, and what it reads does not depend on how
// the bytes were cut. The first byte chooses the cuts; the rest is what a client sends.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/server/read_requests.hpp"

namespace {

server::options small() {
    server::options limits;
    limits.max_header_bytes = 512;
    limits.max_target_bytes = 64;
    limits.max_body_bytes = 128;
    limits.max_headers = 8;
    return limits;
}

void expect_same(const std::vector<std::string>& whole, const std::vector<std::string>& cut, const char* how) {
    if (whole == cut) return;
    std::fprintf(stderr, "%s reads something else\n", how);
    for (const auto& line : whole) std::fprintf(stderr, "  whole: %s\n", line.c_str());
    for (const auto& line : cut) std::fprintf(stderr, "  cut:   %s\n", line.c_str());
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto limits = small();
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto whole = requests::read_whole(limits, bytes);
    expect_same(whole, requests::read_bytewise(limits, bytes), "byte by byte");
    std::uint32_t state = data[0];
    const auto length = [&state](std::size_t) {
        state = state * 1'103'515'245U + 12'345U;  // any sequence will do, as long as it is the same each time
        return std::size_t{1} + (state >> 16) % 40;
    };
    expect_same(whole, requests::read_in_pieces(limits, bytes, length), "in pieces");
    return 0;
}
