#include "tests/simulator/failure.hpp"

#include <signal.h>
#include <string.h>

#include <algorithm>

namespace simulator {
namespace {

constexpr std::size_t enough = 300;  // of what was said: an assertion with its function

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Sizes, addresses and numbers of lines are others in each run, or build.
std::string without_numbers(std::string_view words) {
    std::string text;
    for (const char c : words.substr(0, enough)) {
        if (!is_digit(c))
            text += c == '\n' ? ' ' : c;
        else if (!text.ends_with('#'))
            text += '#';
    }
    while (text.ends_with(' ')) text.pop_back();
    return text;
}

}  // namespace

failure of_signal(int signal, std::string_view words) {
    if (signal == SIGPROF) return {.law = "work", .how = "one seed has computed for a second"};
    const char* const name = ::sigabbrev_np(signal);
    failure made{.law = "abort", .how = "ended by SIG" + std::string(name != nullptr ? name : "?")};
    if (const auto said = without_numbers(words); !said.empty()) {
        made.how += ", " + said;
        made.details = words;
    }
    return made;
}

}  // namespace simulator
