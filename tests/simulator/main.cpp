// simulator [--seconds N] [--from SEED] [--count N]: one seed after the other, until a law does not hold. What fails is
// made smaller, and kept as seed-N.txt in $TMPDIR, or /tmp.
//     --keep DIR      there
//     --no-shrinking  nothing is kept
//     --law LAW       until that one does not hold; seeds that break others are passed over
//     --any           plans of any numbers, instead of those that a seed is usually about
// simulator [--any] --seed SEED | FILE: that one alone, in this process, and what happens in it; for gdb too.
//
// Seeds are run in a child for some hundred at a time: a life that ends by a signal leaves its memory behind, and a
// fault that ends the child is one that was found.

#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iostream>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "tests/simulator/failure.hpp"
#include "tests/simulator/raw.hpp"
#include "tests/simulator/shrink.hpp"
#include "tests/simulator/world.hpp"

namespace {

using namespace simulator;

constexpr std::uint64_t seeds_a_child = 300;
constexpr int most_cpu_seconds = 1;  ///< of one seed, which takes some milliseconds
constexpr int most_shrinking_seconds = 60;

struct wishes {
    std::uint64_t seconds = 0, from = 1, count = std::numeric_limits<std::uint64_t>::max();
    std::string keep, file, law;
    bool alone = false, shrinks = true;
    plan (*write)(std::uint64_t seed) = plan_of;
};

/// What a child and its parent share.
struct board {
    std::uint64_t seed, seeds;
    sights seen;
    bool failed;
    char law[32], how[400], details[8'000];

    void note(const failure& found) {
        failed = true;
        std::snprintf(law, sizeof law, "%s", found.law.c_str());
        std::snprintf(how, sizeof how, "%s", found.how.c_str());
        std::snprintf(details, sizeof details, "%s", found.details.c_str());
    }
    failure found() const { return {.law = law, .how = how, .details = details}; }
};

/// Standard error of a child. A simulated process has its own: here the libraries of C and C++ say why they abort.
class last_words {
public:
    last_words() : file_(raw::call(SYS_memfd_create, reinterpret_cast<long>("last words"))) {}
    /// In the child.
    void begin() const {
        raw::call(SYS_ftruncate, file_, 0);
        raw::call(SYS_lseek, file_, 0, SEEK_SET);
        raw::call(SYS_dup2, file_, STDERR_FILENO);
    }
    std::string text() const {
        char said[2'000];
        const auto count = raw::call(SYS_pread64, file_, reinterpret_cast<long>(said), sizeof said, 0);
        return {said, static_cast<std::size_t>(count > 0 ? count : 0)};
    }

private:
    const long file_;
};

double now() {
    timespec time;
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

/// SIGPROF ends a child that computes for too long: work that grows with the square of what it is given.
void limit_cpu() {
    const itimerval limit{.it_interval = {}, .it_value = {.tv_sec = most_cpu_seconds, .tv_usec = 0}};
    ::setitimer(ITIMER_PROF, &limit, nullptr);
}

/// In a child: runs what `next` gives until it gives none.
template <class Next>
void in_child(board& shared, const Next& next) {
    static const last_words said;
    shared.failed = false;
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        said.begin();
        while (const plan* const given = next()) {
            limit_cpu();
            world made(*given);
            const auto found = made.run();
            shared.seen.add(made.seen());
            ++shared.seeds;
            if (found) shared.note(*found);
            if (found) break;
        }
        ::_exit(0);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0) {}
    if (WIFSIGNALED(status)) shared.note(of_signal(WTERMSIG(status), said.text()));
}

std::optional<failure> run_alone(board& shared, const plan& what) {
    bool given = false;
    in_child(shared, [&]() -> const plan* { return std::exchange(given, true) ? nullptr : &what; });
    if (!shared.failed) return std::nullopt;
    return shared.found();
}

void show(const sights& seen, double took, std::uint64_t seeds) {
    std::printf("%llu seeds, %llu lives in %.1f s: %.0f lives a second\n", static_cast<unsigned long long>(seeds),
                static_cast<unsigned long long>(seen.lives), took, static_cast<double>(seen.lives) / took);
    const std::pair<const char*, std::uint64_t> rows[] = {{"requests answered", seen.answered},
                                                          {"cut", seen.cut},
                                                          {"clients refused", seen.refused},
                                                          {"events accepted", seen.accepted},
                                                          {"delivered", seen.delivered},
                                                          {"twice", seen.twins},
                                                          {"taken over", seen.recovered},
                                                          {"exit code 0", seen.exits[0]},
                                                          {"1", seen.exits[1]},
                                                          {"2", seen.exits[2]},
                                                          {"3", seen.exits[3]},
                                                          {"killed", seen.killed},
                                                          {"of them with the machine", seen.powerless},
                                                          {"calls of the disk failed", seen.failed_calls},
                                                          {"lives never ready", seen.not_ready},
                                                          {"turns of threads", seen.switches}};
    for (const auto& [name, count] : rows) std::printf("  %s: %llu\n", name, static_cast<unsigned long long>(count));
}

/// One plan, here.
int replay(const plan& what) {
    write(std::cout, what);
    world made(what, true);
    const auto found = made.run();
    std::cout << made.story();
    if (found)
        std::cout << "FAILED: " << found->text() << '\n';
    else
        std::cout << "every law holds\n";
    return found ? 1 : 0;
}

int report(board& shared, const wishes& asked, double began) {
    const auto seed = shared.seed;
    const auto found = shared.found();
    std::printf("FAILED: seed %llu after %.1f s: %s\n", static_cast<unsigned long long>(seed), now() - began,
                found.text().c_str());
    if (!asked.shrinks) return 1;
    const auto until = now() + most_shrinking_seconds;
    const auto small = shrink(asked.write(seed), found, [&](const plan& smaller) -> std::optional<failure> {
        if (now() >= until) return std::nullopt;
        return run_alone(shared, smaller);
    });
    const auto path = asked.keep + "/seed-" + std::to_string(seed) + ".txt";
    std::ofstream file(path);
    file << "# seed " << seed << ", " << found.law << ": " << found.how << "\n";
    write(file, small);
    if (file.flush())
        std::printf("made smaller, in %s: simulator %s\n", path.c_str(), path.c_str());
    else
        std::printf("made smaller; %s cannot be written\n", path.c_str());
    std::fflush(stdout);
    write(std::cout, small);
    return 1;
}

int search(const wishes& asked) {
    auto& shared = *reinterpret_cast<board*>(
        raw::call(SYS_mmap, 0, sizeof(board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const auto began = now();
    const auto last =
        asked.count > std::numeric_limits<std::uint64_t>::max() - asked.from ? asked.count : asked.from + asked.count;
    const auto goes_on = [&](std::uint64_t seed) {
        return seed < last && (asked.seconds == 0 || now() - began < static_cast<double>(asked.seconds));
    };
    for (auto first = asked.from; goes_on(first);) {
        auto next = first;
        plan current;
        in_child(shared, [&]() -> const plan* {
            if (next == first + seeds_a_child || !goes_on(next)) return nullptr;
            shared.seed = next;
            current = asked.write(next++);
            return &current;
        });
        if (shared.failed && (asked.law.empty() || asked.law == shared.law)) return report(shared, asked, began);
        first = shared.failed ? shared.seed + 1 : first + seeds_a_child;
    }
    show(shared.seen, now() - began, shared.seeds);
    return 0;
}

wishes read_arguments(int count, char** arguments) {
    wishes asked;
    const char* const temporary = std::getenv("TMPDIR");
    asked.keep = temporary != nullptr && *temporary != '\0' ? temporary : "/tmp";
    for (int nth = 1; nth < count; ++nth) {
        const std::string name = arguments[nth];
        const auto value = [&] { return nth + 1 < count ? arguments[++nth] : "0"; };
        const auto number = [&] { return std::strtoull(value(), nullptr, 10); };
        if (name == "--seconds")
            asked.seconds = number();
        else if (name == "--from")
            asked.from = number();
        else if (name == "--count")
            asked.count = number();
        else if (name == "--keep")
            asked.keep = value();
        else if (name == "--law")
            asked.law = value();
        else if (name == "--any")
            asked.write = any_plan;
        else if (name == "--no-shrinking")
            asked.shrinks = false;
        else if (name == "--seed")
            asked.from = number(), asked.alone = true;
        else
            asked.file = name;
    }
    return asked;
}

}  // namespace

int main(int count, char** arguments) {
    const auto asked = read_arguments(count, arguments);
    prepare_service();
    world::prepare();
    if (asked.alone) return replay(asked.write(asked.from));
    if (asked.file.empty()) return search(asked);
    std::ifstream file(asked.file);
    if (!file) return std::fprintf(stderr, "cannot read %s\n", asked.file.c_str()), 2;
    try {
        return replay(read(file));
    } catch (const std::exception& fault) {
        return std::fprintf(stderr, "%s: %s\n", asked.file.c_str(), fault.what()), 2;
    }
}
