#pragma once

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

    /// Lets it end; a failed expectation for whoever was refused, lost, cut or got an error.
    void expect_none_failed();

private:
    support::background_load kept_, anew_;
};

}  // namespace integration
