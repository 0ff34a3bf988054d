#include "server/admin/heap/sampler.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <thread>
#include <vector>

#include "server/symbols.hpp"

namespace server::heap {

/// Not in a namespace without a name, and never inlined, so that stacks show them.
[[gnu::noinline]] void allocate_here(std::span<void*> into, std::size_t size);
[[gnu::noinline]] void allocate_there(std::span<void*> into, std::size_t size);
[[gnu::noinline]] char* by_the_operator(std::size_t size);

namespace {

void allocate_many(std::span<void*> into, std::size_t size) {
    for (auto& each : into) each = allocate(size, alignof(std::max_align_t), nullptr);
}

}  // namespace

void allocate_here(std::span<void*> into, std::size_t size) {
    allocate_many(into, size);
    std::memset(into.back(), 0, size);  // so that the call above is not the last
}

void allocate_there(std::span<void*> into, std::size_t size) {
    allocate_many(into, size);
    std::memset(into.front(), 0, size);
}

char* by_the_operator(std::size_t size) {
    auto* const block = new char[size];
    block[0] = 'x';
    return block;
}

namespace {

struct usage {
    double allocated = 0, in_use = 0, objects = 0;  // bytes, bytes, blocks in use
};

/// Of all stacks with this function in them.
usage of(const std::string& function) {
    const symbols names;
    usage all;
    samples().for_each([&](std::span<void* const> stack, weight allocated, weight freed) {
        const auto is_it = [&](const void* at) { return names.function(at).find(function) != std::string::npos; };
        if (std::ranges::none_of(stack.first(std::min<std::size_t>(stack.size(), 8)), is_it)) return;
        all.allocated += static_cast<double>(allocated.bytes);
        all.in_use += static_cast<double>(allocated.bytes - freed.bytes);
        all.objects += static_cast<double>(allocated.objects - freed.objects) / double{weight::one_object};
    });
    return all;
}

/// Five standard deviations of the estimate of this many bytes: one run in a million is outside.
double error_of(double bytes, double interval) { return 5 * std::sqrt(interval * bytes); }

void release_all(const std::vector<void*>& blocks) {
    for (auto* const block : blocks) release(block);
}

/// What is sampled belongs to the process: each test looks at what it has added.
struct HeapSampler : testing::Test {
    ~HeapSampler() override { sample_every(0); }
};

TEST_F(HeapSampler, TakesNothingWhileItIsOff) {
    sample_every(0);
    const auto before = of("allocate_here").allocated;
    std::vector<void*> blocks(10'000);
    allocate_here(blocks, 1'000);
    release_all(blocks);
    EXPECT_EQ(of("allocate_here").allocated, before);
}

TEST_F(HeapSampler, EstimatesWhatAStackHoldsAndForgetsWhatIsFreed) {
    constexpr double interval = 4'096;
    sample_every(4'096);
    const auto before = of("allocate_here");
    std::vector<void*> many(40'000);
    allocate_here(many, 100);
    const auto now = of("allocate_here");
    EXPECT_NEAR(now.in_use - before.in_use, 4'000'000, error_of(4'000'000, interval));
    EXPECT_NEAR(now.objects - before.objects, 40'000, error_of(4'000'000, interval) / 100);
    release_all(many);
    EXPECT_EQ(of("allocate_here").in_use, before.in_use);
    EXPECT_EQ(of("allocate_here").allocated, now.allocated);
}

TEST_F(HeapSampler, LargeAndSmallBlocksWeighWhatTheyAre) {
    sample_every(10'000);
    const auto here = of("allocate_here"), there = of("allocate_there");
    std::vector<void*> small(200'000), large(100);
    allocate_here(small, 16);
    allocate_there(large, 100'000);  // each is hit
    EXPECT_NEAR(of("allocate_here").in_use - here.in_use, 3'200'000, error_of(3'200'000, 10'000));
    EXPECT_NEAR(of("allocate_there").in_use - there.in_use, 10'000'000, 100'000);
    EXPECT_NEAR(of("allocate_there").objects - there.objects, 100, 1);
    release_all(small);
    release_all(large);
}

TEST_F(HeapSampler, AnotherIntervalChangesTheErrorAndNotTheSum) {
    sample_every(1'000);
    const auto before = of("allocate_here");
    std::vector<void*> fine(10'000), coarse(10'000);
    allocate_here(fine, 200);
    sample_every(16'000);
    allocate_here(coarse, 200);
    EXPECT_NEAR(of("allocate_here").in_use - before.in_use, 4'000'000,
                error_of(2'000'000, 1'000) + error_of(2'000'000, 16'000));
    sample_every(0);
    release_all(fine);
    release_all(coarse);
    EXPECT_EQ(of("allocate_here").in_use, before.in_use) << "what was sampled is known when nothing is any more";
}

TEST_F(HeapSampler, ThreadsThatComeAndGoAndFreeWhatOthersHaveAreAddedUp) {
    sample_every(4'096);
    const auto before = of("allocate_here");
    std::array<std::vector<void*>, 40> by_thread;
    by_thread.fill(std::vector<void*>(2'000));
    for (std::size_t nth = 0; nth < by_thread.size(); nth += 2) {
        std::jthread first([&, nth] { allocate_here(by_thread[nth], 100); });
        std::jthread other([&, nth] { allocate_here(by_thread[nth + 1], 100); });
    }
    EXPECT_NEAR(of("allocate_here").in_use - before.in_use, 8'000'000, error_of(8'000'000, 4'096));
    std::jthread([&] {
        for (const auto& each : by_thread) release_all(each);
    }).join();
    EXPECT_EQ(of("allocate_here").in_use, before.in_use);
}

TEST_F(HeapSampler, EveryBlockIsAlignedAsItsOwnerAsked) {
    sample_every(64);
    for (std::size_t alignment = 16; alignment <= 16'384; alignment *= 2)
        for (std::size_t size : {std::size_t{0}, std::size_t{1}, alignment, 3 * alignment}) {
            auto* const block = allocate(size, alignment, nullptr);
            ASSERT_NE(block, nullptr);
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % alignment, 0U);
            release(block);
        }
    release(nullptr);
}

#ifdef HEAP  // sanitizers have operators of their own, and end a program that asks for too much

TEST_F(HeapSampler, WhatCannotBeHadIsNothing) {
    sample_every(64);
    for (const auto size : {SIZE_MAX, SIZE_MAX / 2}) EXPECT_EQ(allocate(size, 16, nullptr), nullptr);
}

TEST_F(HeapSampler, SeesTheOperatorsAndNamesWhoCallsThem) {
    sample_every(1);
    const auto before = of("by_the_operator");
    const std::unique_ptr<char[]> block(by_the_operator(5'000));
    EXPECT_NEAR(of("by_the_operator").in_use - before.in_use, 5'000, 1);
    const symbols names;
    std::string innermost;
    samples().for_each([&](std::span<void* const> stack, weight, weight) {
        for (const auto* const at : stack.first(std::min<std::size_t>(2, stack.size())))
            if (names.function(at).find("by_the_operator") != std::string::npos) innermost = names.function(stack[0]);
    });
    EXPECT_THAT(innermost, testing::HasSubstr("by_the_operator")) << "not a frame of the allocation itself";
}

/// A member of each kind, since the compiler may leave out a new and its delete.
struct alignas(64) wide {
    std::array<char, 128> bytes;
};

TEST_F(HeapSampler, EveryFormOfNewHasItsDelete) {
    sample_every(1);
    const auto before = of("EveryFormOfNewHasItsDelete");
    for (int times = 0; times < 100; ++times) {
        ::operator delete(::operator new(100));
        ::operator delete (::operator new(100), std::size_t{100});
        ::operator delete[](::operator new[](100));
        ::operator delete(::operator new(100, std::nothrow), std::nothrow);
        constexpr std::align_val_t aligned{256};
        ::operator delete(::operator new(100, aligned), aligned);
        ::operator delete (::operator new(100, aligned), std::size_t{100}, aligned);
        ::operator delete[](::operator new[](100, aligned), aligned);
        ::operator delete(::operator new(100, aligned, std::nothrow), aligned, std::nothrow);
        delete new wide;
    }
    const auto now = of("EveryFormOfNewHasItsDelete");
    EXPECT_GT(now.allocated - before.allocated, 80'000);
    EXPECT_EQ(now.in_use, before.in_use);
}

TEST_F(HeapSampler, WithoutMemoryTheOperatorsAskForRoomAndThenThrow) {
    static int asked = 0;
    const auto before = std::set_new_handler([] {
        if (++asked == 3) std::set_new_handler(nullptr);
    });
    volatile std::size_t too_much = SIZE_MAX / 2;  // the compiler warns of what it knows
    EXPECT_THROW(::operator delete(::operator new(too_much)), std::bad_alloc);
    EXPECT_EQ(asked, 3);
    EXPECT_EQ(::operator new(too_much, std::nothrow), nullptr);
    std::set_new_handler(before);
}

#endif

}  // namespace
}  // namespace server::heap
