#pragma once

#include <string>
#include <string_view>

namespace simulator {

/// A law that does not hold, by its name; how, in words that are the same for all failures of one kind; and what is
/// different in each of them.
struct failure {
    std::string law, how, details = {};

    bool is_like(const failure& other) const noexcept { return law == other.law && how == other.how; }
    std::string text() const { return law + ": " + how + (details.empty() ? "" : ": ") + details; }
};

/// Of a process of the real machine that a signal has ended. `words`: what the libraries of C and C++ have said on
/// its standard error, as which assertion has failed, or what nobody has caught.
failure of_signal(int signal, std::string_view words);

}  // namespace simulator
