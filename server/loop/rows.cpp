#include "server/loop/rows.hpp"

#include <fmt/format.h>

#include "server/handlers.hpp"

namespace server {

using lifecycle::clock;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

std::string place_of(const connection& connection) {
    const auto where = connection.waits_at();
    return where.line() == 0 ? std::string() : fmt::format("{}:{}", where.file_name(), where.line());
}

static task_row row_of(const connection& client, clock::time_point now) {
    const auto in = client.now_in();
    const bool rests = in == connection::state::idle && !client.has_workspace() && now - client.since() > rest_after;
    const auto* const other = client.its_session();
    task_row row{.name = client.describe(),
                 .kind = "connection",
                 .state = client.abandoned() ? "abandoned"
                          : rests            ? "resting"
                                             : std::string(to_string(in)),
                 .where = place_of(client),
                 .age = duration_cast<milliseconds>(now - client.born()),
                 .client = client.client().text(),
                 .peer = client.peer().text(),
                 .protocol = other != nullptr ? other->protocol() : "HTTP/1.1"};
    if (in == connection::state::handling && (other == nullptr || other->in_focus().current != nullptr)) {
        row.kind = "request";
        row.age = duration_cast<milliseconds>(now - client.since());
        row.trace = client.trace_id();
        row.target = client.target();
        row.left = duration_cast<milliseconds>(client.deadline() - now);
    }
    return row;
}

std::vector<task_row> rows_of(const connection_lists& connections, const lifecycle::task_group& tasks) {
    std::vector<task_row> rows;
    const auto now = clock::now();
    tasks.for_each([&](const lifecycle::task& task) {
        if (handlers::is_runner(task)) return;  // its connection says what it does
        rows.push_back({.name = task.name,
                        .kind = task.kind,
                        .state = "waiting",
                        .where = {},
                        .age = duration_cast<milliseconds>(now - task.born)});
    });
    for (const auto& some : connections.all())
        for (const auto& client : some) for_each_work(client, true, [&] { rows.push_back(row_of(client, now)); });
    return rows;
}

}  // namespace server
