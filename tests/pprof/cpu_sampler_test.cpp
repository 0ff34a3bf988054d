#include "server/admin/pprof/cpu_sampler.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <stdexcept>
#include <thread>

#include "server/admin/pprof/threads.hpp"
#include "server/symbols.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/slow_build.hpp"

namespace server::pprof {

/// Not in a namespace without a name, and never inlined, so that stacks show it.
[[gnu::noinline]] void burn_until(const std::atomic<bool>& over);
[[gnu::noinline]] void throw_and_catch(int depth);

void burn_until(const std::atomic<bool>& over) {
    while (!over) {}
}

void throw_and_catch(int depth) {
    if (depth == 0) throw std::runtime_error("thrown");
    throw_and_catch(depth - 1);
    static_cast<void>(std::string("so that the call above is not the last"));
}

namespace {

using support::eventually;
using support::milliseconds;

std::vector<sampled_thread> all_threads() {
    std::vector<sampled_thread> all;
    for (const auto id : thread_ids()) all.push_back({id, thread_name(id, {}), nullptr});
    return all;
}

/// Samples that have this function in their stack.
std::uint64_t seen_in(const cpu_sampler& sampler, const std::string& function) {
    const symbols names;
    std::uint64_t times = 0;
    for (const auto& [place, count] : sampler.samples())
        if (std::ranges::any_of(place.frames,
                                [&](const void* at) { return names.function(at).find(function) != std::string::npos; }))
            times += count;
    return times;
}

TEST(CpuSampler, SeesAThreadThatUsesTheCpuByNameAndFunction) {
    if (support::signals_come_late) GTEST_SKIP() << "ThreadSanitizer keeps signals back";
    std::atomic<bool> over{false};
    std::jthread burns([&] { burn_until(over); });
    ::pthread_setname_np(burns.native_handle(), "burner");
    const auto sampler = cpu_sampler::start();
    ASSERT_TRUE(sampler);
    EXPECT_TRUE(eventually([&] {
        sampler->follow(all_threads());
        return seen_in(*sampler, "burn_until") >= 20;
    }));
    over = true;
    for (const auto& [place, count] : sampler->samples())
        if (*place.thread == "burner") return;
    ADD_FAILURE() << "no sample of the thread";
}

TEST(CpuSampler, IsTheOnlyOneWhileItLives) {
    auto first = cpu_sampler::start();
    ASSERT_TRUE(first);
    EXPECT_FALSE(cpu_sampler::start());
    first.reset();
    EXPECT_TRUE(cpu_sampler::start());
}

TEST(CpuSampler, WithoutItsTimersNothingComesAnyMore) {
    std::atomic<bool> over{false};
    std::jthread burns([&] { burn_until(over); });
    for (int times = 0; times < 20; ++times) {  // signals of the one before are still on their way
        const auto sampler = cpu_sampler::start();
        ASSERT_TRUE(sampler);
        sampler->follow(all_threads());
        if (times % 4 == 0) {
            EXPECT_TRUE(eventually([&] { return sampler->collect(), !sampler->samples().empty(); }));
        }
    }
    over = true;
}

TEST(CpuSampler, WorksWhileExceptionsFlyAndThreadsComeAndGo) {
    if (support::signals_come_late) GTEST_SKIP() << "ThreadSanitizer keeps signals back";
    std::atomic<bool> over{false};
    const auto throw_on = [&] {
        while (!over) {
            try {
                throw_and_catch(20);
            } catch (const std::runtime_error&) {}
        }
    };
    std::jthread first(throw_on), other(throw_on);
    std::jthread starts([&] {
        while (!over)
            std::jthread([] {
                try {
                    throw_and_catch(5);
                } catch (const std::runtime_error&) {}
            }).join();
    });
    const auto sampler = cpu_sampler::start();
    ASSERT_TRUE(sampler);
    EXPECT_TRUE(eventually(
        [&] {
            sampler->follow(all_threads());
            return seen_in(*sampler, "throw_and_catch") >= 50;
        },
        milliseconds(30'000)));
    over = true;
}

}  // namespace
}  // namespace server::pprof
