#pragma once

#include <atomic>
#include <memory>

#include "tests/support/load.hpp"

namespace integration {

/// How often a test swaps one process for the next: SWAPS of the environment; few in an ordinary run.
int swaps();

/// Clients of both kinds while processes are swapped: 16 that keep their connections, with events and slow requests,
/// and 16 that connect for every request.
class traffic {
public:
    explicit traffic(const support::endpoint& to);

    /// Until more requests of both kinds have been answered, so that what comes next happens under load.
    void expect_answers();
    /// Lets it end; a failed expectation for each request that was refused, lost, cut or got an error.
    void expect_none_failed();

private:
    std::atomic<unsigned> answers_of_kept_{0}, answers_of_new_{0};
    support::background_load kept_, anew_;
};

}  // namespace integration
