#pragma once

#include <string>
#include <vector>

#include "lifecycle/task_group.hpp"
#include "server/loop.hpp"
#include "server/loop/lists.hpp"

namespace server {

// What people see of what is alive on a loop. Only on the loop's thread. Throws std::bad_alloc.

/// Where its handler waits, "file:line"; nothing when it waits in no awaitable of ours.
std::string place_of(const connection& connection);

/// Visits what a connection works on: itself, or, where it has a session, the requests of that, one after the other in
/// focus, and, if there is none or `itself_too`, itself.
template <class Visit>
void for_each_work(const connection& connection, bool itself_too, const Visit& visit) {
    struct visiting final : session::visitor {
        explicit visiting(const Visit& v) : call(v) {}
        void visit() override {
            any = true;
            call();
        }
        const Visit& call;
        bool any = false;
    };
    auto* const other = connection.its_session();
    visiting each(visit);
    if (other != nullptr) other->each(each);
    if (other == nullptr || itself_too || !each.any) visit();
}

/// As `/debug/tasks` has them.
std::vector<task_row> rows_of(const connection_lists& connections, const lifecycle::task_group& tasks);

}  // namespace server
