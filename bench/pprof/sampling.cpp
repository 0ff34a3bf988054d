// What the sampler of the CPU profile costs a thread that computes: its CPU time for the same work with and without
// one, in turn. The sampler's own work, more than ten times a second, is done on the same thread and counts; that a
// profile becomes a file when it is over does not. Work without memory: other processes on the machine hardly change
// what it costs.

#include <fmt/format.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "server/admin/pprof/cpu_sampler.hpp"
#include "server/admin/pprof/threads.hpp"

namespace {

constexpr int pairs = 60;
constexpr int parts = 2;   // of a piece of work, each of about 50 ms; the profile looks for threads each 100 ms
constexpr int depth = 20;  // frames, about as many as a handler's
constexpr std::uint64_t turns = 25'000'000;

double cpu_milliseconds() {
    timespec used;
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) * 1e3 + static_cast<double>(used.tv_nsec) / 1e6;
}

[[gnu::noinline]] std::uint64_t compute(int frames) {
    if (frames > 0) {
        const auto result = compute(frames - 1);
        asm volatile("" : : "r"(result));  // or the frames would become a loop
        return result;
    }
    std::uint64_t x = 88'172'645'463'325'252;  // xorshift: each turn needs the one before
    for (std::uint64_t turn = 0; turn < turns; ++turn) x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return x;
}

struct cost {
    double milliseconds = 0;
    std::uint64_t samples = 0;
};

cost work(bool sampled) {
    const std::string name = "work";
    cost taken;
    const auto before = cpu_milliseconds();
    const auto sampler = sampled ? server::pprof::cpu_sampler::start() : nullptr;
    for (int part = 0; part < parts; ++part) {
        if (sampler) {
            std::vector<server::pprof::sampled_thread> threads;
            for (const auto id : server::pprof::thread_ids()) threads.push_back({id, name, nullptr});
            sampler->follow(threads);
        }
        const auto result = compute(depth);
        asm volatile("" : : "r"(result));  // or it would not be computed
    }
    if (sampler) sampler->collect();
    taken.milliseconds = cpu_milliseconds() - before;
    if (sampler)
        for (const auto& [place, times] : sampler->samples()) taken.samples += times;
    return taken;
}

double at(std::vector<double> all, double part) {
    std::ranges::sort(all);
    return all[static_cast<std::size_t>(static_cast<double>(all.size() - 1) * part)];
}

}  // namespace

int main() {
    std::vector<double> ratios, with, without;
    std::uint64_t samples = 0;
    work(true);
    for (int pair = 0; pair < pairs; ++pair) {
        const bool first = pair % 2 == 0;
        const auto measured = work(first), other = work(!first);
        with.push_back(first ? measured.milliseconds : other.milliseconds);
        without.push_back(first ? other.milliseconds : measured.milliseconds);
        ratios.push_back(with.back() / without.back());
        samples += measured.samples + other.samples;
    }
    double all = 0;
    for (const auto part : with) all += part;
    fmt::print(
        "CPU time with / without: median {:.4f}, middle half {:.4f} to {:.4f}; best {:.2f} / {:.2f} ms = {:.4f}\n",
        at(ratios, 0.5), at(ratios, 0.25), at(ratios, 0.75), at(with, 0), at(without, 0), at(with, 0) / at(without, 0));
    fmt::print("{} samples in {:.1f} s of CPU time\n", samples, all / 1e3);
}
