#include <gmock/gmock.h>

#include <bit>
#include <limits>
#include <string>

#include "cmd/service/telemetry/request_body.hpp"
#include "cmd/service/telemetry/wire.hpp"
#include "tests/telemetry/decode.hpp"
#include "tests/telemetry/joined.hpp"

namespace telemetry {
namespace {

using testing::Pair;
using testing::UnorderedElementsAre;

template <class Write>
std::string written(const Write& write, std::size_t room = 1 << 16) {
    std::string bytes(room, '\0');
    wire_writer to(bytes.data(), bytes.data() + room);
    write(to);
    EXPECT_TRUE(to.fits());
    return bytes.substr(0, to.size());
}

std::string hex(std::string_view bytes) {
    std::string made;
    for (const char c : bytes) {
        made += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
        made += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
    }
    return made;
}

/// A span that nothing is missing from.
void write_span(wire_writer& to, std::string_view name, std::uint64_t id = 7) {
    const auto span = to.open(2);
    to.id(1, 0x0af7651916cd43dd, 0x8448eb211c80319c);
    to.id(2, id);
    to.id(4, 0xb7ad6b7169203331);
    to.bytes(5, name);
    to.number(6, 2);
    to.fixed64(7, 1'800'000'000'000'000'001);
    to.fixed64(8, 1'800'000'000'000'000'002);
    attributes(to, 9).number("http.response.status_code", 200);
    to.fixed32(16, 0x303);
    to.close(span);
}

TEST(OtlpEncoding, isByteForByteWhatTheWireFormatHas) {
    const auto span = written([](auto& to) { write_span(to, "GET /"); });
    // By hand, from the .proto files and the text about the encoding; `protoc --decode` agrees.
    EXPECT_EQ(hex(span),
              "1269"                                  // 2: spans, 105 bytes
              "0a100af7651916cd43dd8448eb211c80319c"  // 1: trace_id
              "12080000000000000007"                  // 2: span_id
              "2208b7ad6b7169203331"                  // 4: parent_span_id
              "2a05474554202f"                        // 5: name
              "3002"                                  // 6: kind
              "390100b49376e2fa18"                    // 7: start_time_unix_nano
              "410200b49376e2fa18"                    // 8: end_time_unix_nano
              "4a20"                                  // 9: attributes, a KeyValue
              "0a19687474702e726573706f6e73652e7374617475735f636f6465"
              "120318c801"      //   value, int 200
              "850103030000");  // 16: flags
}

TEST(OtlpEncoding, writesEachSizeOfLengthAsShortAsItIs) {
    for (const std::size_t size : {0U, 1U, 127U, 128U, 16'383U, 16'384U, 40'000U}) {
        const std::string text(size, 'x');
        const auto opened = written([&](auto& to) {
            const auto at = to.open(5);
            to.raw(text);
            to.close(at);
        });
        EXPECT_EQ(opened, written([&](auto& to) { to.bytes(5, text); })) << size;
    }
}

TEST(OtlpEncoding, writesALengthAsShortAsItIsWhateverRoomWasKeptForIt) {
    for (const std::size_t kept : {1U, 2U, 3U})
        for (const std::size_t size : {0U, 1U, 127U, 128U, 16'383U, 16'384U}) {
            const std::string text(size, 'x');
            const auto opened = written([&](auto& to) {
                const auto at = to.open(5, kept);
                to.raw(text);
                to.close(at, kept);
                to.number(6, 1);
            });
            EXPECT_EQ(opened, written([&](auto& to) {
                          to.bytes(5, text);
                          to.number(6, 1);
                      }))
                << kept << ", " << size;
        }
}

TEST(OtlpEncoding, writesAttributesOfEachSizeAlike) {
    for (std::size_t size = 0; size < 300; ++size) {
        const std::string text(size, 'x');
        const auto attribute = written([&](auto& to) { attributes(to, 9).text("key", text); });
        EXPECT_EQ(attribute, written([&](auto& to) {
                      const auto pair = to.open(9);
                      to.bytes(1, "key");
                      const auto value = to.open(2);
                      to.bytes(1, text);
                      to.close(value);
                      to.close(pair);
                  }))
            << size;
    }
}

TEST(OtlpEncoding, keepsEachDigitOfLargeNumbers) {
    for (const std::int64_t number : {(std::int64_t{1} << 53) + 1, std::numeric_limits<std::int64_t>::max(),
                                      std::numeric_limits<std::int64_t>::min(), std::int64_t{-1}, std::int64_t{0}}) {
        const envelope around(fields{{"service.name", "x"}});
        const auto records = written([&](auto& to) {
            const auto span = to.open(2);
            to.id(1, 1, 2);
            to.id(2, 3);
            to.bytes(5, "n");
            to.number(6, 1);
            to.fixed64(7, 1'800'000'000'123'456'789);
            to.fixed64(8, 1'800'000'000'123'456'789);
            attributes(to, 9).number("n", number);
            to.close(span);
        });
        const auto read = otlp::read_traces(joined(around, records));
        ASSERT_EQ(read.spans.size(), 1U);
        EXPECT_EQ(read.spans[0].values.at("n"), std::to_string(number));
        EXPECT_EQ(read.spans[0].start, 1'800'000'000'123'456'789U);
    }
}

TEST(OtlpEncoding, voidsWhatFindsNoRoom) {
    for (std::size_t room = 0; room < 107; ++room) {
        std::string bytes(room + 8, '!');
        wire_writer to(bytes.data(), bytes.data() + room);
        write_span(to, "GET /");
        EXPECT_FALSE(to.fits()) << room;
        EXPECT_EQ(bytes.substr(room), "!!!!!!!!") << room;
    }
}

TEST(OtlpEncoding, makesEachTextUtf8AndShortEnough) {
    std::string room;
    EXPECT_EQ(sound_text("/caf\xC3\xA9", room), "/caf\xC3\xA9");
    EXPECT_EQ(sound_text("/caf\xE9", room), "/caf\xEF\xBF\xBD");
    EXPECT_EQ(sound_text("\xED\xA0\x80", room), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // a surrogate
    EXPECT_EQ(sound_text("abc", room, 2), "ab");
    EXPECT_EQ(sound_text("a\xC3\xA9", room, 2), "a") << "not half a character";
}

TEST(OtlpEncoding, putsOneMessageAroundAllRecordsAndNothingBehindIt) {
    const envelope around(fields{{"service.name", "shop"}, {"service.version", "1.2"}});
    std::string records;
    for (std::uint64_t nth = 1; nth <= 300; ++nth) records += written([&](auto& to) { write_span(to, "GET /", nth); });
    const auto read = otlp::read_traces(joined(around, records));
    EXPECT_EQ(read.spans.size(), 300U);
    EXPECT_THAT(read.resource, UnorderedElementsAre(Pair("service.name", "shop"), Pair("service.version", "1.2")));
    EXPECT_EQ(read.spans[299].id, "000000000000012c");
    EXPECT_EQ(read.spans[0].parent, "b7ad6b7169203331");
    EXPECT_EQ(read.spans[0].flags, 0x303U);
}

TEST(OtlpEncoding, compressesAsGzipDoes) {
    const std::string text(100'000, 'x');
    EXPECT_EQ(otlp::gunzipped(gzipped({text})), text);
    EXPECT_LT(gzipped({text}).size(), 2'000U);
}

TEST(OtlpEncoding, readsWhatAReceiverHasNotTaken) {
    const auto answer = written([](auto& to) {
        const auto partial = to.open(1);
        to.number(1, 3);
        to.bytes(2, "no room");
        to.close(partial);
    });
    EXPECT_EQ(read_partial_success(answer).rejected, 3U);
    EXPECT_EQ(read_partial_success(answer).message, "no room");
    EXPECT_EQ(read_partial_success("").rejected, 0U);
    EXPECT_EQ(read_partial_success("<html>").rejected, 0U);
    for (std::size_t size = 0; size < answer.size(); ++size) read_partial_success(answer.substr(0, size));
}

TEST(OtlpEncoding, halvesABatchBetweenTwoRecords) {
    batch whole;
    for (const std::string_view text : {"a", "bb", "ccc", "dddd", "e"}) {
        whole.bytes += text;
        whole.ends.push_back(whole.bytes.size());
    }
    const auto second = whole.split();
    EXPECT_EQ(whole.bytes, "abb");
    EXPECT_EQ(second.bytes, "cccdddde");
    EXPECT_THAT(second.ends, testing::ElementsAre(3, 7, 8));
    batch batch{.bytes = "a", .ends = {1}};
    EXPECT_TRUE(batch.split().empty());
}

}  // namespace
}  // namespace telemetry
