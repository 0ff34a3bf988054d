#include "server/websocket/reader.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <random>

#include "server/websocket/accept.hpp"
#include "tests/websocket/frames.hpp"

namespace server::websocket {
namespace {

using frames::fin;
using kind = reader::kind;

struct seen {
    kind what;
    bool text = false;
    std::string data;
    unsigned code = 0;
};

struct reading {
    reading_limits limits;
    compression zlib;
    bool inflates = false;
    std::size_t piece = std::string::npos;

    std::vector<seen> all(std::string bytes) {
        reader reader(limits, inflates ? &zlib : nullptr);
        std::vector<seen> found;
        for (std::size_t at = 0; at < bytes.size();) {
            const auto count = std::min(piece, bytes.size() - at);
            std::string part = bytes.substr(at, count);  // memory of its own: what is read beyond it is seen by ASan
            at += count;
            std::span<char> left(part);
            for (;;) {
                const auto event = reader.next(left);
                if (event.what == kind::need_more) break;
                found.push_back({event.what, event.text, std::string(event.data), event.code});
                if (event.what == kind::close || event.what == kind::fault) return found;
            }
            EXPECT_TRUE(left.empty());
        }
        rests = !reader.within();
        return found;
    }
    /// The code of the fault; none when there is none.
    std::optional<unsigned> fault(std::string bytes) {
        for (const auto& each : all(std::move(bytes)))
            if (each.what == kind::fault) return each.code;
        return std::nullopt;
    }
    bool rests = true;
};

TEST(Mask, IsTakenFromAnyBytesAtAnyOffset) {
    std::mt19937 random(1);
    const masking_key key{'\x37', '\xfa', '\x21', '\x3d'};
    for (std::size_t size = 0; size < 80; ++size)
        for (std::size_t offset = 0; offset < 5; ++offset) {
            std::string bytes, wanted;
            for (std::size_t nth = 0; nth < size; ++nth) {
                bytes += static_cast<char>(random());
                wanted += static_cast<char>(bytes[nth] ^ key[(offset + nth) % 4]);
            }
            unmask(bytes, key, offset);
            ASSERT_EQ(bytes, wanted) << size << " from " << offset;
        }
}

TEST(Utf8, IsJudgedByTheFirstByteThatCannotStandThere) {
    const auto good = [](std::string_view text) {
        utf8_check check;
        return check.add(text) && check.whole();
    };
    EXPECT_TRUE(good("") && good("plain text that is longer than sixteen bytes") && good("\xc2\x80\xdf\xbf"));
    EXPECT_TRUE(good("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"));
    for (const std::string_view bad :
         {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
          "\xf5\x80\x80\x80", "\xff", "sixteen bytes of text and \xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80", "\xc2"})
        EXPECT_FALSE(good(bad)) << bad;
    utf8_check early;
    EXPECT_FALSE(early.add("\xf4\x90"));  // not only when four bytes are there
}

TEST(Utf8, IsJudgedWhereverInABlockItStands) {
    for (std::size_t place = 0; place < 40; ++place) {
        std::string text(42, 'a');
        text.replace(place, 2, "\xc3\xa9");
        utf8_check good;
        EXPECT_TRUE(good.add(text) && good.whole()) << place;
        text.replace(place, 2, "\xff");
        EXPECT_FALSE(utf8_check().add(text)) << place;
    }
}

TEST(Utf8, GoesOnInTheMiddleOfACharacter) {
    for (const std::string_view text : {"a\xc3\xa9z", "\xe2\x82\xac", "\xf0\x9f\x98\x80 and more than sixteen bytes"}) {
        utf8_check check;
        for (const char byte : text) EXPECT_TRUE(check.add({&byte, 1}));
        EXPECT_TRUE(check.whole());
    }
}

TEST(Accept, IsTheProofOfRfc6455) { EXPECT_EQ(accept_for("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); }

TEST(Frames, OfAllSizesAreMessages) {
    reading reading;
    for (const std::size_t size : {0U, 1U, 125U, 126U, 127U, 65'535U, 65'536U, 100'000U})
        for (const std::size_t piece : {std::string::npos, std::size_t{1}, std::size_t{1'000}}) {
            reading.piece = piece;
            const auto found = reading.all(frames::binary(std::string(size, 'x')) + frames::text("behind"));
            ASSERT_EQ(found.size(), 2U) << size << " in " << piece;
            EXPECT_FALSE(found[0].text);
            EXPECT_EQ(found[0].data, std::string(size, 'x'));
            EXPECT_TRUE(found[1].text);
            EXPECT_EQ(found[1].data, "behind");
            EXPECT_TRUE(reading.rests);
        }
}

TEST(Frames, ControlFramesStandBetweenFragments) {
    reading reading;
    const auto bytes = frames::masked(1, "one ") + frames::ping("are you there") + frames::masked(0, "and ") +
                       frames::pong() + frames::masked(fin, "two");
    for (const std::size_t piece : {std::string::npos, std::size_t{1}, std::size_t{7}}) {
        reading.piece = piece;
        const auto found = reading.all(bytes);
        ASSERT_EQ(found.size(), 3U);
        EXPECT_EQ(found[0].what, kind::ping);
        EXPECT_EQ(found[0].data, "are you there");
        EXPECT_EQ(found[1].what, kind::pong);
        EXPECT_EQ(found[2].what, kind::message);
        EXPECT_EQ(found[2].data, "one and two");
    }
}

TEST(Frames, ThatBreakARuleAreAProtocolError) {
    reading reading;
    const auto code = [&](const std::string& bytes) { return reading.fault(bytes).value_or(0); };
    EXPECT_EQ(code("\x81\x03"
                   "abc"),
              1002U);  // not masked
    EXPECT_EQ(code(frames::masked(fin | 0x10 | 1, "a")), 1002U);
    EXPECT_EQ(code(frames::masked(fin | 0x20 | 1, "a")), 1002U);
    EXPECT_EQ(code(frames::masked(fin | frames::rsv1 | 1, "a")), 1002U);  // nothing has been agreed on
    for (const unsigned kind : {3U, 4U, 7U, 11U, 15U}) EXPECT_EQ(code(frames::masked(fin | kind, "")), 1002U) << kind;
    EXPECT_EQ(code(frames::masked(9, "a ping in fragments")), 1002U);
    EXPECT_EQ(code(frames::masked(fin | 9, std::string(126, 'x'))), 1002U);
    EXPECT_EQ(code(frames::masked(fin, "goes on with nothing")), 1002U);
    EXPECT_EQ(code(frames::masked(1, "begins ") + frames::text("and begins again")), 1002U);
    EXPECT_EQ(code(std::string("\x81\xfe\x00\x7d", 4) + "\1\2\3\4"), 1002U);  // a longer length than it takes
    EXPECT_EQ(code(std::string("\x82\xff\x80\0\0\0\0\0\0\0\1\2\3\4", 14)), 1002U);
}

TEST(Frames, AFaultOfTheFirstTwoBytesIsSeenWithThem) {
    reading reading;
    EXPECT_EQ(reading.fault("\x83\x80"), 1002U);
    EXPECT_EQ(reading.fault(std::string("\x81\x05", 2)), 1002U);
}

TEST(Frames, ALengthAboveTheLimitIsSeenBeforeItsBytes) {
    reading reading;
    reading.limits.max_message = 1'000;
    EXPECT_EQ(reading.fault(std::string("\x82\xfe\x03\xe9\1\2\3\4", 8)), 1009U);
    EXPECT_EQ(reading.fault(frames::binary(std::string(1'000, 'x'))), std::nullopt);
    EXPECT_EQ(reading.fault(frames::masked(2, std::string(900, 'x')) + frames::masked(fin, std::string(101, 'x'))),
              1009U);
    EXPECT_EQ(reading.fault(std::string("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\1\2\3\4", 14)), 1009U);
}

TEST(Frames, FragmentsHaveALimitThatLets65536Through) {
    reading reading;
    std::string many = frames::masked(2, "x");
    for (int nth = 0; nth < 65'536; ++nth) many += frames::masked(0, "x");
    EXPECT_EQ(reading.all(many + frames::masked(fin, "")).size(), 1U);
    reading.limits.max_fragments = 10'000;
    EXPECT_EQ(reading.fault(many), 1009U);
}

TEST(Frames, TextThatIsNotUtf8IsSeenAtItsByte) {
    reading reading;
    EXPECT_EQ(reading.fault(frames::masked(1, "\xce\xba\xe1") + frames::masked(0, "\xbd\xb9\xed\xa0")), 1007U);
    EXPECT_EQ(reading.fault(frames::text("cut \xe2\x82")), 1007U);
    EXPECT_EQ(reading.fault(frames::binary("\xff\xfe")), std::nullopt);
    const auto bytes = frames::text("good \xff and a thousand bytes more");
    EXPECT_EQ(reading.fault(bytes.substr(0, 6 + 6)), 1007U);  // not only when the frame is whole
}

TEST(Close, SaysWhatMayBeSaid) {
    reading reading;
    for (const unsigned code : {1000U, 1001U, 1003U, 1007U, 1011U, 1014U, 3000U, 4999U}) {
        const auto found = reading.all(frames::close(code, "why"));
        ASSERT_EQ(found.size(), 1U);
        EXPECT_EQ(found[0].what, kind::close);
        EXPECT_EQ(found[0].code, code);
        EXPECT_EQ(found[0].data, "why");
    }
    for (const unsigned code : {0U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U, 1100U, 2999U, 5000U, 65535U})
        EXPECT_EQ(reading.fault(frames::close(code)), 1002U) << code;
    EXPECT_EQ(reading.all(frames::masked(fin | 8, ""))[0].code, 1005U);
    EXPECT_EQ(reading.fault(frames::masked(fin | 8, "x")), 1002U);
    EXPECT_EQ(reading.fault(frames::close(1000, "\xed\xa0\x80")), 1007U);
}

TEST(Deflate, MessagesComeBackAsTheyWere) {
    reading reading;
    reading.inflates = true;
    for (const std::string& text :
         {std::string(), std::string("a"), std::string(70'000, 'x'), std::string("h\xc3\xa9llo")}) {
        std::string squeezed;
        reading.zlib.deflate(text, 15, squeezed);
        const auto half = squeezed.size() / 2;
        const auto found = reading.all(frames::masked(fin | frames::rsv1 | 1, squeezed) +
                                       frames::masked(frames::rsv1 | 1, squeezed.substr(0, half)) + frames::ping() +
                                       frames::masked(fin, squeezed.substr(half)) + frames::text("plain"));
        ASSERT_EQ(found.size(), 4U);
        EXPECT_EQ(found[0].data, text);
        EXPECT_EQ(found[2].data, text);
        EXPECT_EQ(found[3].data, "plain");
    }
}

TEST(Deflate, WhatIsTooLargeOrBrokenEndsThere) {
    reading reading;
    reading.inflates = true;
    reading.limits.max_message = 100'000;
    std::string bomb, broken = "\xff\xff\xff";
    reading.zlib.deflate(std::string(100'001, 'x'), 15, bomb);
    EXPECT_EQ(reading.fault(frames::masked(fin | frames::rsv1 | 2, bomb)), 1009U);
    EXPECT_EQ(reading.fault(frames::masked(fin | frames::rsv1 | 2, broken)), 1007U);
    std::string latin;
    reading.zlib.deflate("\xe9t\xe9", 15, latin);
    EXPECT_EQ(reading.fault(frames::masked(fin | frames::rsv1 | 1, latin)), 1007U);
    EXPECT_EQ(reading.fault(frames::masked(fin | frames::rsv1 | 9, "")), 1002U);
    EXPECT_EQ(reading.fault(frames::masked(1, "") + frames::masked(fin | frames::rsv1, "")), 1002U);
}

TEST(Deflate, AMessageThatStopsWithinABlockIsBroken) {
    reading reading;
    reading.inflates = true;
    const auto how = [&](const std::string& squeezed) {
        return reading.fault(frames::masked(fin | frames::rsv1 | 2, squeezed)).value_or(0);
    };
    const std::string stored(
        "\x00\x0a\x00\xf5\xff"
        "abc",
        8);  // three bytes of ten
    EXPECT_EQ(how(stored), 1007U) << "what a message ends in is none of its bytes";
    std::string whole;
    reading.zlib.deflate("Some text, and some text again; at last some numbers: 3.14159, 2.71828.", 15, whole);
    for (std::size_t size = 1; size < whole.size(); ++size) EXPECT_EQ(how(whole.substr(0, size)), 1007U) << size;
    EXPECT_EQ(how(whole), 0U);
    EXPECT_EQ(how(""), 0U) << "some leave out the empty block of an empty message";
}

TEST(Deflate, ABlockThatSaysItIsTheLastIsNone) {  // RFC 7692 section 7.2.3.4
    reading reading;
    reading.inflates = true;
    const std::string final_block("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8);
    const auto found = reading.all(frames::masked(fin | frames::rsv1 | 1, final_block));
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].data, "Hello");
    EXPECT_EQ(reading.all(frames::masked(fin | frames::rsv1 | 1, final_block.substr(0, 7)))[0].data, "Hello");
}

TEST(Offers, OfCompressionAreTakenWhereTheyCanBeKept) {
    const auto answer = [](std::string_view offers) {
        const auto terms = choose(offers);
        return terms ? terms->answer() : "none";
    };
    const std::string usual = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    EXPECT_EQ(answer("permessage-deflate"), usual);
    EXPECT_EQ(answer("permessage-deflate; client_max_window_bits"), usual);
    EXPECT_EQ(answer("x-webkit-deflate-frame, Permessage-Deflate ; client_max_window_bits=10"), usual);
    EXPECT_EQ(answer("permessage-deflate; server_max_window_bits=\"12\""), usual + "; server_max_window_bits=12");
    EXPECT_EQ(answer("permessage-deflate; server_max_window_bits=8, permessage-deflate"), usual);
    for (const std::string_view bad :
         {"", "permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits",
          "permessage-deflate; server_max_window_bits=16", "permessage-deflate; server_max_window_bits=09",
          "permessage-deflate; something", "permessage-deflate; server_no_context_takeover=1",
          "permessage-deflate; client_max_window_bits; client_max_window_bits", "deflate"})
        EXPECT_EQ(answer(bad), "none") << bad;
}

}  // namespace
}  // namespace server::websocket
