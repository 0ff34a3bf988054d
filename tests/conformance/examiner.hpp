#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/conformance/question.hpp"
#include "tests/support/client.hpp"

namespace conformance {

/// How the bytes of a question are sent: all at once, or one by one.
enum class pieces { whole, bytes };

struct verdict {
    const question* asked = nullptr;
    std::string fault;     ///< empty: passed
    std::string answered;  ///< what has come, for the text of a fault: "200 400 closed"
};

/// Puts every question to the server, each on a connection of its own and many at a time, from one poll(2) loop on
/// the caller's thread. `limit` is for each connection. The questions outlive the verdicts.
std::vector<verdict> examine(const support::endpoint& server, const questions& all, pieces how,
                             support::milliseconds limit = support::milliseconds(10'000));

}  // namespace conformance
