#include "server/http2/stream.hpp"

#include "server/forget.hpp"
#include "server/http2/answering.hpp"
#include "server/http2/tunnel.hpp"

namespace server::http2 {

void held_body::renew() noexcept {
    forget(bytes);
    taken = credit = 0;
    received = 0;
}

stream::stream() = default;
stream::~stream() = default;

void stream::returned() noexcept { of->returned(*this); }

void stream::renew() noexcept {
    through = nullptr;
    asked.fields.clear();
    asked.trailers.clear();
    asked.parameters.clear();
    asked.body = asked.id = asked.route = asked.query = asked.host = asked.protocol = {};
    asked.named_client = nullptr;
    asked.incoming = nullptr;
    current.incoming = nullptr;
    if (asked.trace) asked.trace = {};
    current.to = nullptr;
    current.reply.renew();
    current.thrown = nullptr;
    current.is_forwarded = current.abandoned = current.left = current.told = false;
    current.refused_by = rule::none;
    block.renew();
    body.renew();
    answer = {};
    outcome = {};
    refused = rule::none;
    receives = whole = asking = false;
    id = 0;
}

void stream::make_request(const options& limits) {
    block.make_request(asked);
    if (refused == rule::none) refused = block.check(asked, limits);
}

void stream::end_body() {
    whole = true;
    if (!is_taken()) asked.body = body.bytes;
    block.add_trailers(asked);
}

connection_view stream::view() const noexcept {
    const bool has_ended = answer.source_ended && current.was_told() && current.can_end();
    return {.state = has_ended ? connection_state::writing : state,
            .since = since,
            .deadline = deadline,
            .rests = true,
            .told = current.told,
            .forced = outcome.forced,
            .abandoned = current.abandoned,
            .to_be_told = current.to_be_told(),
            .was_told = current.was_told(),
            .can_end = current.can_end(),
            .receives = receives,
            .has_ended = has_ended};
}

}  // namespace server::http2
