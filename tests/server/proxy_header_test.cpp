// The header of the PROXY protocol, without sockets.
#include "server/net/proxy_header.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/server/proxy_headers.hpp"

namespace {

using namespace proxy_headers;
using server::proxy_header;
using server::socket_address;
using progress = proxy_header::progress;

/// What becomes of bytes, in pieces of that size at most.
struct outcome {
    progress how = progress::need_more;
    std::size_t taken = 0;
    std::string client;
    bool operator==(const outcome&) const = default;
};

std::ostream& operator<<(std::ostream& to, const outcome& outcome) {
    return to << static_cast<int>(outcome.how) << " after " << outcome.taken << " bytes, client " << outcome.client;
}

template <class Length>
outcome read(std::string_view bytes, Length length) {
    proxy_header header;
    outcome seen;
    while (!bytes.empty() && seen.how == progress::need_more) {
        const auto piece = bytes.substr(0, length());
        const auto [how, taken] = header.feed(piece);
        seen.how = how;
        seen.taken += taken;
        bytes.remove_prefix(piece.size());
    }
    if (header.client()) seen.client = header.client()->text();
    return seen;
}

outcome read(std::string_view bytes) {
    return read(bytes, [] { return std::string_view::npos; });
}

outcome whole(const std::string& header, std::string client) {
    return {.how = progress::complete, .taken = header.size(), .client = std::move(client)};
}

const std::string crc_of_zeros = tlv(3, std::string(4, '\0'));

/// With a checksum after the addresses, and something after that.
std::string checked(const std::string& behind = {}) {
    const auto block = addresses4 + tlv(1, "h2") + crc_of_zeros + behind;
    return with_crc32c(v2(proxy, tcp4, block), 16 + addresses4.size() + 5 + 3);
}

TEST(ProxyHeader, Version1NamesAClientOfEitherFamily) {
    for (const auto& [line, client] : std::vector<std::pair<std::string, std::string>>{
             {"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", "192.0.2.1:56324"},
             {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"},
             {"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "[2001:db8::1]:1"},
             {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
              "65535\r\n",
              "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
             {"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n", "192.0.2.1:1"}})
        EXPECT_EQ(read(line + "GET / HTTP/1.1\r\n"), whole(line, client)) << line;
}

TEST(ProxyHeader, PortZeroAndAnUnspecifiedDestinationAreTakenAsCaddySendsThem) {
    const std::string line = "PROXY TCP4 127.0.0.1 0.0.0.0 0 0\r\n";
    EXPECT_EQ(read(line), whole(line, "127.0.0.1:0"));
    const auto binary = v2(proxy, tcp4, std::string("\x7f\0\0\1\0\0\0\0\0\0\0\0", 12));
    EXPECT_EQ(read(binary), whole(binary, "127.0.0.1:0"));
}

TEST(ProxyHeader, Version2NamesAClientOfAnyFamily) {
    const auto four = v2(proxy, tcp4, addresses4);
    EXPECT_EQ(read(four + "GET /"), whole(four, "192.0.2.1:258"));
    const auto six = v2(proxy, tcp6, addresses6);
    EXPECT_EQ(read(six), whole(six, "[2001:db8::1]:258"));
    const auto local_socket = v2(proxy, unix_stream, std::string(216, 'x'));
    EXPECT_EQ(read(local_socket), whole(local_socket, "unix"));
}

TEST(ProxyHeader, WhatNamesNobodyIsAHeaderAllTheSame) {
    for (const auto& header :
         {std::string("PROXY UNKNOWN\r\n"), std::string("PROXY UNKNOWN ffff::1 what ever 1\r\n"), v2(local, 0, {}),
          v2(local, 0, tlv(4, "pad")), v2(local, tcp4, addresses4), v2(local, tcp4, "short"), v2(local, 0xff, "any"),
          v2(proxy, unspecified, {}), v2(proxy, unspecified, "no TLV at all"), v2(proxy, udp4, addresses4)})
        EXPECT_EQ(read(header + "GET"), whole(header, "")) << header;
}

TEST(ProxyHeader, WhatStandsBehindTheAddressesIsSkipped) {
    const auto header = v2(proxy, tcp4, addresses4 + tlv(1, "h2") + tlv(2, "name.example") + tlv(0xe1, "unique"));
    EXPECT_EQ(read(header + "GET"), whole(header, "192.0.2.1:258"));
    const auto padded = v2(proxy, tcp4, addresses4 + tlv(4, std::string(4096 - 16 - 12 - 3, 'p')));
    EXPECT_EQ(padded.size(), proxy_header::longest_v2);
    EXPECT_EQ(read(padded), whole(padded, "192.0.2.1:258"));
}

TEST(ProxyHeader, AChecksumThatIsThereMustBeRight) {
    for (const auto& behind : {std::string(), tlv(4, "padding"), tlv(0xe0, std::string(300, 'x'))}) {
        const auto right = checked(behind);
        EXPECT_EQ(read(right), whole(right, "192.0.2.1:258"));
        for (const std::size_t at : {std::size_t{16}, std::size_t{27}, std::size_t{30}, std::size_t{39}}) {
            auto wrong = right;
            wrong[at] = static_cast<char>(wrong[at] ^ 4);
            EXPECT_EQ(read(wrong).how, progress::malformed) << at;
        }
    }
    auto check = with_crc32c(v2(local, unspecified, crc_of_zeros), 19);
    EXPECT_EQ(read(check).how, progress::complete);
    check.back() = static_cast<char>(check.back() ^ 1);
    EXPECT_EQ(read(check).how, progress::malformed) << "of a check that names nobody too";
}

TEST(ProxyHeader, WhatBeginsWithoutOneIsSeenAtTheFirstByteThatDiffers) {
    for (const auto& [bytes, taken] : std::vector<std::pair<std::string, std::size_t>>{{"GET / HTTP/1.1\r\n", 1},
                                                                                       {"POST / HTTP/1.1\r\n", 2},
                                                                                       {"PROPFIND / HTTP/1.1\r\n", 4},
                                                                                       {"PROXY\r\n", 6},
                                                                                       {"proxy TCP4", 1},
                                                                                       {"\x16\x03\x01", 1},
                                                                                       {"\r\nGET", 3},
                                                                                       {"\r\n\r\n\1\r\nQUIT\n", 5}})
        EXPECT_EQ(read(bytes), (outcome{.how = progress::missing, .taken = taken, .client = {}})) << bytes;
}

TEST(ProxyHeader, WhatIsNoLineOfVersion1IsMalformed) {
    for (const auto* line :
         {"PROXY \r\n", "PROXY TCP4\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
          "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
          "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
          "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
          "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rX", "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n",
          "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP6 ::1%lo ::1 1 2\r\n", "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
          "PROXY unknown\r\n"})
        EXPECT_EQ(read(line).how, progress::malformed) << line;
}

TEST(ProxyHeader, Version1IsTakenUpTo107BytesAndNoFurther) {
    const auto line = [](std::size_t size) { return "PROXY UNKNOWN " + std::string(size - 16, 'x') + "\r\n"; };
    EXPECT_EQ(read(line(107)), whole(line(107), ""));
    EXPECT_EQ(read(line(108)), (outcome{.how = progress::malformed, .taken = 107, .client = {}}));
}

TEST(ProxyHeader, WhatIsNoHeaderOfVersion2IsMalformed) {
    const auto short4 = addresses4.substr(1);
    for (const auto& header :
         {v2(0x11, tcp4, addresses4), v2(0x22, tcp4, addresses4), v2(proxy, 0x41, addresses4),
          v2(proxy, 0x13, addresses4), v2(proxy, tcp4, short4), v2(proxy, tcp6, addresses4),
          v2(proxy, unix_stream, addresses6), v2(proxy, tcp4, addresses4 + "\1"), v2(proxy, tcp4, addresses4 + "\1\0"),
          v2(proxy, tcp4, addresses4 + std::string("\1\0\5four", 7))})
        EXPECT_EQ(read(header + "GET / HTTP/1.1\r\n").how, progress::malformed) << header;
}

TEST(ProxyHeader, Version2IsTakenUpTo4KiBAndNoFurther) {
    const auto header = v2(proxy, tcp4, addresses4, 4096 - 16 + 1);
    EXPECT_EQ(read(header), (outcome{.how = progress::malformed, .taken = 16, .client = {}}));
    EXPECT_EQ(read(v2(local, 0, {}, 0xffff)).how, progress::malformed);
}

TEST(ProxyHeader, ATornOneIsNeverWhole) {
    for (const auto& header : {std::string("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"), checked(),
                               v2(local, unspecified, {}), v2(proxy, tcp6, addresses6 + tlv(1, "h2"))})
        for (std::size_t size = 0; size < header.size(); ++size)
            EXPECT_EQ(read(header.substr(0, size)), (outcome{.how = progress::need_more, .taken = size, .client = {}}));
}

/// Whole ones, broken by a byte here and there, with something after them.
std::string some_header(std::mt19937& random) {
    const auto below = [&](std::size_t most) { return random() % most; };
    const std::vector<std::string> sound{"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n",
                                         "PROXY TCP6 2001:db8::1 ::1 1 2\r\n",
                                         "PROXY UNKNOWN\r\n",
                                         v2(local, unspecified, {}),
                                         v2(proxy, tcp4, addresses4),
                                         checked(),
                                         checked(tlv(4, std::string(below(200), 'p'))),
                                         v2(proxy, tcp6, addresses6),
                                         v2(proxy, unix_stream, std::string(216, 'u')),
                                         "PROXY " + std::string(below(120), 'x') + "\r\n"};
    auto bytes = sound[below(sound.size())] + "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (auto faults = below(3); faults > 0; --faults) bytes[below(bytes.size())] = static_cast<char>(random());
    return bytes.substr(0, 1 + below(bytes.size()));
}

TEST(ProxyHeader, HoweverItIsCutTheOutcomeIsTheSame) {
    std::mt19937 random(7);
    for (int nth = 0; nth < 20'000; ++nth) {
        const auto bytes = some_header(random);
        const auto at_once = read(bytes);
        ASSERT_EQ(read(bytes, [] { return std::size_t{1}; }), at_once) << nth << ", byte by byte: " << bytes;
        ASSERT_EQ(read(bytes, [&] { return 1 + random() % 20; }), at_once) << nth << ", in pieces: " << bytes;
    }
}

}  // namespace
