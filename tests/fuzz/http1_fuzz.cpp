// Arbitrary bytes in arbitrary pieces: the parser never fails, and what it reads does not depend on how
// the bytes were cut, nor on what has been read before. The first byte chooses the cuts; the rest is what a client
// sends. And where a head is read, Beast, an independent reader, reads the same in it; and so does our own a byte at a
// time, verdict for verdict.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/server/beast_head.hpp"
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

void expect_as_beast(std::string_view bytes) {
    const auto head = bytes.substr(0, std::min(bytes.find("\r\n\r\n"), bytes.size() - 4) + 4);
    if (!heads::whole(head)) return;
    const auto ours = heads::read_by_us(head);
    if (!ours) return;
    boost::beast::error_code error;
    const auto beast = heads::read_by_beast(head, error);
    // What Beast refuses for what a version or a field means is refused after the grammar.
    namespace http = boost::beast::http;
    for (const auto meaning : {http::error::bad_version, http::error::bad_value, http::error::bad_content_length,
                               http::error::multiple_content_length, http::error::bad_transfer_encoding})
        if (error == meaning) return;
    if (ours == beast) return;
    std::fprintf(stderr, "Beast: %s\n%s\nours:\n%s\n", error.message().c_str(), beast.value_or("").c_str(),
                 ours->c_str());
    std::abort();
}

void expect_as_bytewise(std::string_view bytes) {
    const auto head = heads::read_exactly(bytes);
    if (head.wide == head.bytewise) return;
    std::fprintf(stderr, "16 at a time:\n%s\na byte at a time:\n%s\n", head.wide.c_str(), head.bytewise.c_str());
    std::abort();
}

/// What has been read once is read from fields that are known, the second time.
void expect_the_same_again(const server::options& limits, std::string_view bytes,
                           const std::vector<std::string>& whole) {
    requests::reader reading(limits);
    if (!reading.feed(bytes) || reading.buffered() > 0) return;
    reading.seen.clear();
    reading.feed(bytes);
    expect_same(whole, reading.seen, "again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto limits = small();
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (bytes.size() >= 4) expect_as_beast(bytes);
    expect_as_bytewise(bytes);
    const auto whole = requests::read_whole(limits, bytes);
    expect_same(whole, requests::read_bytewise(limits, bytes), "byte by byte");
    std::uint32_t state = data[0];
    const auto length = [&state](std::size_t) {
        state = state * 1'103'515'245U + 12'345U;  // any sequence will do, as long as it is the same each time
        return std::size_t{1} + (state >> 16) % 40;
    };
    expect_same(whole, requests::read_in_pieces(limits, bytes, length), "in pieces");
    expect_the_same_again(limits, bytes, whole);
    return 0;
}
