#pragma once

#include <poll.h>

#include <vector>

#include "server/loop/lists.hpp"

namespace server {

/// Finds the clients that have gone while a handler works for them. The socket says so, not the next write: one poll(2)
/// is for all whose handler waits and whose socket has said something since it was asked, which nobody reads before the
/// answer.
///
/// Only on the loop's thread.
class gone_clients {
public:
    /// Tells those of `works` whose client has gone. `half_close`: one that has only ended its own sending has not.
    /// Throws std::bad_alloc: nobody has been told.
    void look(connection_lists::list& works, bool half_close);

private:
    std::vector<pollfd> sockets_;  // both kept for their memory
    std::vector<connection*> owners_;
};

}  // namespace server
