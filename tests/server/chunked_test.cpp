#include "server/chunked.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace {

using server::chunked_decoder;
using progress = chunked_decoder::progress;

server::options at_most(std::size_t body) {
    server::options limits;
    limits.max_body_bytes = body;
    return limits;
}

/// What comes of `bytes` when they come in pieces of `length`.
std::pair<progress, std::string> decode(std::string bytes, std::size_t length = 1'000'000, std::size_t limit = 100) {
    auto limits = at_most(limit);
    chunked_decoder decoder(limits);
    auto result = progress::need_more;
    for (std::size_t size = 0; size < bytes.size() && result == progress::need_more;) {
        size = std::min(bytes.size(), size + length);
        result = decoder.decode(bytes.data(), size);
    }
    return {result, bytes.substr(0, decoder.decoded())};
}

using outcome = std::pair<progress, std::string>;

TEST(ChunkedDecoder, PutsTheChunksTogetherInPlace) {
    EXPECT_EQ(decode("5\r\nhello\r\n1\r\n,\r\n6\r\n world\r\n0\r\n\r\n"), outcome(progress::complete, "hello, world"));
}

TEST(ChunkedDecoder, DoesNotCareHowTheBytesWereCut) {
    const std::string bytes = "5;a=b\r\nhello\r\n01\r\n,\r\n6 ;c\r\n world\r\n000\r\nTrailer: x\r\n\r\n";
    for (std::size_t length = 1; length <= bytes.size(); ++length)
        EXPECT_EQ(decode(bytes, length), outcome(progress::complete, "hello, world")) << length;
}

TEST(ChunkedDecoder, StopsBehindTheLastChunk) {
    const auto limits = at_most(100);
    chunked_decoder decoder(limits);
    std::string bytes = "1\r\na\r\n0\r\n\r\nGET / HTTP/1.1";
    EXPECT_EQ(decoder.decode(bytes.data(), bytes.size()), progress::complete);
    EXPECT_EQ(decoder.consumed(), bytes.find("GET"));
}

TEST(ChunkedDecoder, AsksForMoreUntilTheEmptyLineBehindTheLastChunk) {
    const std::string bytes = "1\r\na\r\n0\r\nA: b\r\n\r\n";
    for (std::size_t size = 0; size < bytes.size(); ++size)
        EXPECT_EQ(decode(bytes.substr(0, size)).first, progress::need_more) << size;
}

TEST(ChunkedDecoder, RefusesABodyAboveTheLimitAsSoonAsTheSizeIsKnown) {
    EXPECT_EQ(decode("5\r\n", 1, 4).first, progress::too_large);
    EXPECT_EQ(decode("4\r\n", 1, 4).first, progress::need_more);
    EXPECT_EQ(decode("3\r\nabc\r\n2\r\n", 1, 4), outcome(progress::too_large, "abc"));
    EXPECT_EQ(decode("ffffffffffffffff\r\n", 1, 4).first, progress::too_large);
}

TEST(ChunkedDecoder, SqueezesOutWhatIsNotBody) {
    const auto limits = at_most(100);
    chunked_decoder decoder(limits);
    std::string bytes = "1;long-extension\r\na\r\n2\r\nb";
    EXPECT_EQ(decoder.decode(bytes.data(), bytes.size()), progress::need_more);
    EXPECT_EQ(decoder.squeeze(bytes.data(), bytes.size()), 2U);
    bytes.resize(2);
    EXPECT_EQ(bytes, "ab");
    bytes += "c\r\n0\r\n\r\nnext";
    EXPECT_EQ(decoder.decode(bytes.data(), bytes.size()), progress::complete);
    EXPECT_EQ(bytes.substr(0, decoder.decoded()), "abc");
    EXPECT_EQ(bytes.substr(decoder.consumed()), "next");
}

TEST(ChunkedDecoder, SqueezesNothingBeforeTheFirstByte) {
    const auto limits = at_most(100);
    chunked_decoder decoder(limits);
    std::string bytes = "3\r";
    EXPECT_EQ(decoder.squeeze(bytes.data(), bytes.size()), 2U);
    EXPECT_EQ(bytes, "3\r");
}

TEST(ChunkedDecoder, BoundsAnExtensionAndAllTrailersTogether) {
    EXPECT_EQ(decode("1;" + std::string(1'000, 'a') + "\r\nb\r\n0\r\n\r\n").first, progress::complete);
    EXPECT_EQ(decode("1;" + std::string(1'100, 'a') + "\r\nb\r\n0\r\n\r\n").first, progress::malformed);
    EXPECT_EQ(decode("1" + std::string(1'100, ' ') + ";\r\nb\r\n0\r\n\r\n").first, progress::malformed);
    EXPECT_EQ(decode("0\r\nA: " + std::string(8'000, 'b') + "\r\n\r\n").first, progress::complete);
    EXPECT_EQ(decode("0\r\nA: " + std::string(8'200, 'b') + "\r\n\r\n").first, progress::malformed);
    EXPECT_EQ(decode("0\r\n" + std::string(8'200, 'A') + ": b\r\n\r\n").first, progress::malformed);
}

TEST(ChunkedDecoder, BoundsTheExtensionsOfAllChunksTogether) {
    auto limits = at_most(100);
    limits.max_chunk_extension_bytes = 10;
    limits.max_chunk_extensions_bytes = 25;
    const std::string chunk = "1;aaaaaaa\r\nb\r\n";  // its blank and semicolon are none
    for (const auto& [chunks, expected] :
         {std::pair{3, progress::need_more}, std::pair{4, progress::malformed}, std::pair{5, progress::malformed}}) {
        std::string bytes;
        for (int nth = 0; nth < chunks; ++nth) bytes += chunk;
        chunked_decoder decoder(limits);
        EXPECT_EQ(decoder.decode(bytes.data(), bytes.size()), expected) << chunks;
    }
    std::string long_one = "1;" + std::string(11, 'a');
    chunked_decoder decoder(limits);
    EXPECT_EQ(decoder.decode(long_one.data(), long_one.size()), progress::malformed);
}

TEST(ChunkedDecoder, TakesARunOfChunksWithExtensionsOfTheirOwn) {
    std::string bytes;
    for (int nth = 0; nth < 10; ++nth) bytes += "1;" + std::string(1'000, 'a') + "\r\nb\r\n";
    EXPECT_EQ(decode(bytes + "0\r\n\r\n"), outcome(progress::complete, std::string(10, 'b')));
}

}  // namespace
