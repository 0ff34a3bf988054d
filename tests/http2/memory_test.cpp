// What nghttp2 is given memory by, and what of it an idle connection holds.

#include "server/http2/memory.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

namespace http2_tests {
namespace {

using server::http2::memory;
using server::http2::session_memory;

constexpr std::size_t table_size = 4096, frame_size = 16'394;  // nghttp2 1.52

/// The session's blocks, as nghttp2 takes them.
struct blocks {
    void* take(std::size_t size) { return of.hooks()->malloc(size, &of); }
    void* take_zeroed(std::size_t size) { return of.hooks()->calloc(1, size, &of); }
    void* grow(void* block, std::size_t size) { return of.hooks()->realloc(block, size, &of); }
    void give_back(void* block) { of.hooks()->free(block, &of); }

    memory from;
    session_memory of{from};
};

bool is_resident(void* at) {
    unsigned char there = 0;
    return ::mincore(at, 1, &there) == 0 && (there & 1) != 0;
}

TEST(SessionMemory, ARestLetsGoOfTheFrameAndOfAnEmptyTable) {
    blocks some;
    auto* const table = static_cast<char*>(some.take_zeroed(table_size));
    auto* const frame = static_cast<char*>(some.take(frame_size));
    std::memset(frame, 'x', frame_size);
    EXPECT_TRUE(is_resident(table));
    EXPECT_TRUE(is_resident(frame + 8'192));
    some.of.rest();
    EXPECT_FALSE(is_resident(table));
    EXPECT_FALSE(is_resident(frame + 8'192));
    table[100] = 'y';
    frame[0] = 'z';
    EXPECT_EQ(table[99], 0);
    some.give_back(frame);
    some.give_back(table);
}

TEST(SessionMemory, ATableWithAStreamIsKept) {
    blocks some;
    auto* const table = static_cast<char*>(some.take_zeroed(table_size));
    auto* const frame = static_cast<char*>(some.take(frame_size));
    for (const std::size_t at : {std::size_t{0}, std::size_t{2'000}, table_size - 1}) {
        table[at] = 's';
        some.of.rest();
        EXPECT_EQ(table[at], 's');
        table[at] = 0;
    }
    some.give_back(table);
    some.of.rest();
    some.give_back(frame);
}

TEST(SessionMemory, OnlyTheFirstOfEachHasPagesAndBothMayGrow) {
    blocks some;
    auto* const table = static_cast<char*>(some.take_zeroed(table_size));
    auto* const another = static_cast<char*>(some.take_zeroed(table_size));
    auto* const frame = static_cast<char*>(some.take(frame_size));
    EXPECT_EQ(frame, table + table_size);
    EXPECT_TRUE(another < table || another > frame + frame_size);
    std::memset(table, 't', table_size);
    std::memset(frame, 'f', frame_size);
    auto* const larger_table = static_cast<char*>(some.grow(table, 2 * table_size));
    auto* const larger_frame = static_cast<char*>(some.grow(frame, 2 * frame_size));
    EXPECT_EQ(larger_table[table_size - 1], 't');
    EXPECT_EQ(larger_frame[frame_size - 1], 'f');
    some.of.rest();  // there are no pages any more
    for (auto* const each : {another, larger_table, larger_frame}) some.give_back(each);
}

}  // namespace
}  // namespace http2_tests
