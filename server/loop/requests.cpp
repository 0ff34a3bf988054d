#include "server/loop/requests.hpp"

#include <fmt/format.h>

#include <cassert>

#include "server/loop/rows.hpp"

namespace server {

using lifecycle::clock;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

/// Not in line: hardly a handler does.
[[gnu::noinline]] static void hold_up(stall_watch& loop, const connection& by) {
    loop.held_up_by(fmt::format("{} ({})", by.describe(), by.identity()));
}

void loop_requests::leaves(const connection& connection, const route& to, http::status status, clock::time_point now) {
    assert(seen_.account.in_flight.get() > 0 && "what leaves has entered");
    seen_.routes[to.index].in_flight.subtract();
    seen_.account.in_flight.subtract();
    if (stalls_.late(now)) [[unlikely]]
        hold_up(stalls_, connection);
    if (env_.routes.observe) env_.routes.observe(connection, status, true);
}

bool loop_requests::note(const answer_row& row, const connection& of) {
    auto& account = seen_.account;
    account.requests.add();
    auto& metrics = row.to != nullptr ? seen_.routes[row.to->index] : seen_.routes.back();
    metrics.responses[row.digit].add();
    metrics.statuses.add(static_cast<unsigned>(row.status));
    const auto bucket = metrics.duration.observe(row.took);
    if (const auto& trace = row.of->trace; trace.sampled()) {
        if (trace.ids.span != 0)
            metrics.exemplars.keep(bucket, {trace.ids.high, trace.ids.low}, row.took);
        else
            metrics.exemplars.keep(bucket, trace.id(), row.took);
    }
    if (host_.observer) host_.observer->end(row);
    if (row.refused_by != rule::none) account.refused[static_cast<std::size_t>(row.refused_by)].add();
    return access_.answered(row, of);
}

void loop_requests::note_refusal(const answer_row& row, const connection_parts& of) {
    auto& times = seen_.account.refused[static_cast<std::size_t>(row.refused_by)];
    times.add();
    if (!in_words(row.refused_by).empty()) log_.other_protocol(row.refused_by, of.peer(), times.get());
    access_.refused(row, of);
}

void loop_requests::straggles(const connection& late, const void* which) {
    const auto age = duration_cast<milliseconds>(clock::now() - late.since());
    const auto where = place_of(late);
    log_.straggles(late, age, where);
    seen_.late.add(which, {.name = late.describe(), .kind = "request", .age = age, .where = where});
}

}  // namespace server
