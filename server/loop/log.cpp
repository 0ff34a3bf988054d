#include "server/loop/log.hpp"

#include "lifecycle/lines.hpp"
#include "server/connection.hpp"

namespace server {

namespace {

std::string_view waits_at(std::string_view where) noexcept { return where.empty() ? "" : ", waits at "; }

}  // namespace

void loop_log::lost_connection(const char* why, time_point now) noexcept try {
    ++lost_;
    if (losses_.allows(now))
        lifecycle::lines(log_).error("{server}-{loop}: a connection is closed, {connections} so far: {error}", server_,
                                     nth_, lost_, why);
} catch (...) {}  // not even memory to say so

void loop_log::no_handshake(std::string_view why, const socket_address& with, time_point now) noexcept try {
    ++failed_handshakes_;
    if (handshakes_.allows(now))
        lifecycle::lines(log_).info("{server}: no TLS handshake with {peer}: {error}; {times} so far", server_,
                                    with.host(), why, failed_handshakes_);
} catch (...) {}  // not even memory to say so

void loop_log::other_protocol(rule looks_like, const socket_address& peer, std::uint64_t nth, time_point now) noexcept
    try {
    if (meetings_.allows(now))
        lifecycle::lines(log_).info("{server}: what {peer} sends {looks}; {times} so far", server_, peer.host(),
                                    in_words(looks_like), nth);
} catch (...) {}  // not even memory to say so

void loop_log::failure(const connection_parts& of, const std::exception_ptr& thrown) noexcept try {
    if (of.now_in() == connection::state::streaming)
        of.lines_to(log_).error("a response was cut: {error} ({})", what_was_thrown(thrown), of.identity());
    else
        of.lines_to(log_).error("{route} failed: {error} ({})", of.describe(), what_was_thrown(thrown), of.identity());
} catch (const std::bad_alloc&) {}  // nor for this line

void loop_log::tick_failed(const char* why) noexcept try {
    lifecycle::lines(log_).error("{server}-{loop}: a tick failed: {error}", server_, nth_, why);
} catch (...) {}  // nor for this line

void loop_log::straggles(const connection_parts& late, std::chrono::milliseconds age, std::string_view where) {
    late.lines_to(log_).warn("{route} has not ended with its context: {age_ms} ms old{}{where} ({})", late.describe(),
                             age.count(), waits_at(where), where, late.identity());
}

void loop_log::stood_still(const stall_watch::finding& found) {
    lifecycle::lines(log_).warn("{server}-{loop} stood still for {lasted_ms} ms, {cpu_ms} ms of CPU time: {request}",
                                server_, nth_, found.lasted.count(), found.computed.count(), found.by);
}

void loop_log::drain_waits_for(const connection_parts& late, std::chrono::milliseconds age, std::string_view where) {
    lifecycle::lines(log_).warn("the drain waits for {route}: {state} for {age_ms} ms{}{where}", late.describe(),
                                to_string(late.now_in()), age.count(), waits_at(where), where);
}

void loop_log::drain_waits_for(std::size_t more) {
    lifecycle::lines(log_).warn("the drain waits for {requests} more", more);
}

}  // namespace server
