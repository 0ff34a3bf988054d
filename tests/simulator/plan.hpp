#pragma once

#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace simulator {

/// What the world does to a process, and when. All numbers; what they mean stands with each kind.
enum class deed : std::uint8_t {
    client,  ///< a: script (client.hpp), b: one way in µs, c: a size or a number
    signal,  ///< a: its number
    freeze,  ///< a: ms
    disk,    ///< a: disk_tree::fault, b: how many calls fail, c: how many do not before that; ms of a sync that hangs
    sink,    ///< a: sink_mode, b: ms of one that is slow
    memory,  ///< a: allocations of the threads that serve before that, b: how many fail, c: 1: of the first loop alone
    threads  ///< a: so many pthread_create fail
};
inline constexpr std::string_view deed_names[] = {"client", "signal", "freeze", "disk", "sink", "memory", "threads"};

enum class sink_mode : std::uint8_t { takes, throws, refuses, slow, picky };

/// How a process of the plan ends: asked to, killed, or with its machine.
enum class ending : std::uint8_t { term, kill, power };
inline constexpr std::string_view ending_names[] = {"term", "kill", "power"};

struct action {
    deed what;
    std::uint64_t at;  ///< µs after the start of its process
    std::uint64_t a = 0, b = 0, c = 0;
};

struct life_plan {
    std::vector<action> actions;
    std::uint64_t length = 0;  ///< µs until its end is asked for
    ending how = ending::term;
};

/// Everything that happens on a simulated machine but for the order of its threads, which `chance` decides. A seed
/// makes one; a file can hold it, also one that is no seed's any more since it has been made smaller.
struct plan {
    std::uint64_t chance = 0;
    std::map<std::string, std::uint64_t, std::less<>> settings;
    std::vector<life_plan> lives;

    std::uint64_t get(std::string_view name) const;
};

plan plan_of(std::uint64_t seed);
/// Any numbers that are allowed, many of them the least or the most: what must be true of all plans. Of seed 0 all are
/// the least, in one life with everything that may happen in one.
plan any_plan(std::uint64_t seed);
/// Which of its numbers nothing can be simulated by, and what is allowed; empty: none.
std::string fault_of(const plan& what);

void write(std::ostream& to, const plan& what);
/// Throws std::runtime_error with the line that it does not understand, or a number that is not allowed.
plan read(std::istream& from);

}  // namespace simulator
