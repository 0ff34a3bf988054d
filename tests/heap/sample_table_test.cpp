#include "server/admin/heap/sample_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace server::heap {
namespace {

constexpr weight two_blocks{2 * weight::one_object, 200};

/// An address that is the nth multiple of the alignment; nothing looks after it.
const void* block(std::size_t nth) { return reinterpret_cast<const void*>((nth + 1) * sample_table::block_alignment); }
void* frame(std::size_t nth) { return reinterpret_cast<void*>(0x1000 + nth); }

struct usage {
    std::uint64_t stacks = 0;
    weight allocated, freed;
};

usage all_of(const sample_table& table) {
    usage all;
    table.for_each([&](std::span<void* const>, weight allocated, weight freed) {
        EXPECT_LE(freed.objects, allocated.objects);
        EXPECT_LE(freed.bytes, allocated.bytes);
        ++all.stacks;
        all.allocated.objects += allocated.objects;
        all.allocated.bytes += allocated.bytes;
        all.freed.objects += freed.objects;
        all.freed.bytes += freed.bytes;
    });
    return all;
}

TEST(SampleTable, AddsUpByStackWhatIsAllocatedAndFreed) {
    const auto table = std::make_unique<sample_table>();
    const std::vector<void*> here{frame(1), frame(2)}, there{frame(1), frame(3)};
    EXPECT_TRUE(table->add(block(1), here, two_blocks));
    EXPECT_TRUE(table->add(block(2), here, two_blocks));
    EXPECT_TRUE(table->add(block(3), there, two_blocks));
    table->remove(block(2));
    table->for_each([&](std::span<void* const> stack, weight allocated, weight freed) {
        const bool is_here = std::ranges::equal(stack, here);
        EXPECT_TRUE(is_here || std::ranges::equal(stack, there));
        EXPECT_EQ(allocated.bytes, is_here ? 400U : 200U);
        EXPECT_EQ(freed.bytes, is_here ? 200U : 0U);
        EXPECT_EQ(freed.objects, is_here ? 2 * weight::one_object : 0U);
    });
    EXPECT_EQ(all_of(*table).stacks, 2U);
}

TEST(SampleTable, KnowsAnAddressAgainThatHasBeenFreed) {
    const auto table = std::make_unique<sample_table>();
    const std::vector<void*> stack{frame(1)};
    for (int times = 0; times < 3; ++times) {
        EXPECT_TRUE(table->add(block(1), stack, two_blocks));
        table->remove(block(1));
        table->remove(block(1));  // it is known no more
    }
    EXPECT_EQ(all_of(*table).allocated.bytes, 600U);
    EXPECT_EQ(all_of(*table).freed.bytes, 600U);
}

TEST(SampleTable, ABlockThatIsNotNotedIsNoneOfItsOwn) {
    const auto table = std::make_unique<sample_table>();
    table->remove(nullptr);
    table->remove(block(7));
    EXPECT_EQ(all_of(*table).stacks, 0U);
}

TEST(SampleTable, CutsOffTheOuterEndOfALongStack) {
    const auto table = std::make_unique<sample_table>();
    std::vector<void*> deep;
    deep.reserve(100);
    for (std::size_t nth = 0; nth < 100; ++nth) deep.push_back(frame(nth));
    EXPECT_TRUE(table->add(block(1), deep, two_blocks));
    table->for_each([&](std::span<void* const> stack, weight, weight) {
        EXPECT_TRUE(std::ranges::equal(stack, std::span(deep).first(sample_table::most_frames)));
    });
}

TEST(SampleTable, CountsWhatFindsNoRoomForItsStackOrItself) {
    const auto table = std::make_unique<sample_table>();
    std::size_t noted = 0, nth = 0;
    for (; nth < 2 * sample_table::most_stacks; ++nth)
        if (table->add(block(nth), std::vector{frame(nth)}, two_blocks)) ++noted;
    EXPECT_GT(noted, sample_table::most_stacks / 2);
    EXPECT_LE(noted, sample_table::most_stacks);
    EXPECT_EQ(table->lost(), (nth - noted) * two_blocks.bytes);
    const auto all = std::make_unique<sample_table>();
    for (noted = nth = 0; nth < 2 * sample_table::most_blocks; ++nth)
        if (all->add(block(nth), std::vector{frame(1)}, two_blocks)) ++noted;
    EXPECT_GT(noted, sample_table::most_blocks / 2);
    EXPECT_EQ(all->lost(), (nth - noted) * two_blocks.bytes);
    EXPECT_EQ(all_of(*all).allocated.bytes, noted * two_blocks.bytes);
}

constinit sample_table untouched;  // its pages are memory once they have been written

std::size_t resident_bytes(const sample_table& table) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const auto begin = reinterpret_cast<std::uintptr_t>(&table) / page * page;
    const auto size = reinterpret_cast<std::uintptr_t>(&table) + sizeof table - begin;
    std::vector<unsigned char> pages((size + page - 1) / page);
    EXPECT_EQ(::mincore(reinterpret_cast<void*>(begin), size, pages.data()), 0);
    return page * static_cast<std::size_t>(std::ranges::count_if(pages, [](auto flags) { return (flags & 1U) != 0; }));
}

TEST(SampleTable, TakesAsMuchMemoryAsIsHeldAndNotWhatHasComeAndGone) {
    for (std::size_t nth = 0; nth < 2 * sample_table::most_blocks; ++nth) {
        EXPECT_TRUE(untouched.add(block(nth), std::vector{frame(nth % 100)}, two_blocks));
        if (nth >= 20) untouched.remove(block(nth - 20));
    }
    EXPECT_LE(resident_bytes(untouched), 100'000U) << "of " << sizeof untouched;
}

TEST(SampleTable, BalancesWhenBlocksAreFreedOnOtherThreadsWhileSomebodyReads) {
    const auto table = std::make_unique<sample_table>();
    constexpr std::size_t threads = 4, rounds = 20, blocks = 100;
    std::vector<std::atomic<bool>> handed_over(threads * rounds);
    std::atomic<bool> over{false};
    std::jthread reads([&] {
        while (!over) all_of(*table);  // expects never more freed than allocated
    });
    {
        std::vector<std::jthread> all;
        all.reserve(threads);
        for (std::size_t mine = 0; mine < threads; ++mine)
            all.emplace_back([&, mine] {
                const auto others = (mine + 1) % threads;
                const auto each = [&](std::size_t whose, std::size_t round, auto what) {
                    for (std::size_t nth = 0; nth < blocks; ++nth) what(nth, (whose * rounds + round) * blocks + nth);
                };
                for (std::size_t round = 0; round < rounds; ++round) {
                    each(mine, round, [&](std::size_t nth, std::size_t own) {
                        EXPECT_TRUE(table->add(block(own), std::vector{frame(nth % 10)}, two_blocks));
                    });
                    handed_over[mine * rounds + round] = true;
                    handed_over[mine * rounds + round].notify_one();
                    handed_over[others * rounds + round].wait(false);
                    each(others, round, [&](std::size_t, std::size_t other) { table->remove(block(other)); });
                }
            });
    }
    over = true;
    const auto all = all_of(*table);
    EXPECT_EQ(all.allocated.bytes, threads * rounds * blocks * two_blocks.bytes);
    EXPECT_EQ(all.freed.bytes, all.allocated.bytes);
    EXPECT_EQ(all.freed.objects, all.allocated.objects);
}

}  // namespace
}  // namespace server::heap
