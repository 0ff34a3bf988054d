// What stands in front of the first request of a connection: a header of the PROXY protocol.

#include "server/connection.hpp"
#include "server/loop/resources.hpp"

namespace server {

using outcome = transport::outcome;
using progress = proxy_header::progress;

/// The address that decides is that of the client which a header names, where there is one.
void connection::trust() {
    const auto& trusted = loop_.serving().limits->trusted_proxies;
    machine_.trust_peer(!trusted.empty() && is_among(caller(), trusted));
}

const socket_address& connection::client() const noexcept {
    const auto* const serving = current();
    if (serving == nullptr || !serving->is_forwarded) return caller();
    const auto& named = serving->from.client;
    return named ? *named : caller();
}

/// For the handler of the request that it works on.
void connection::name_client() noexcept {
    auto& request = machine_.request();
    const auto& current = machine_.current();
    request.named_client = &client();
    if (current.is_forwarded && !current.from.scheme.empty()) request.scheme = current.from.scheme;
}

/// `done`: the header has been read, and what comes next is the protocol's. It is looked at before it is taken, so that
/// nothing of that is.
transport::outcome connection::read_proxy_header(const moment& at) {
    auto& from = *proxied_;
    if (from.how == progress::malformed) return outcome::would_block;
    if (from.how == progress::complete) {
        if (!from.header.client() && machine_.waits_for_request()) skip_another_header();
        return outcome::done;
    }
    const auto scratch = loop_.scratch();
    const auto [how, count] = socket_.peek(scratch);
    if (how == outcome::ended && from.header.begun()) {
        refuse_header(rule::proxy_header_malformed, at);
        return outcome::would_block;
    }
    if (how != outcome::done) return how;
    const auto& trusted = loop_.serving().limits->trusted_proxies;
    if (!trusted.empty() && !is_among(peer_, trusted)) {
        refuse_header(rule::proxy_header_untrusted, at);
        return outcome::would_block;
    }
    const auto [found, taken] = from.header.feed({scratch.data(), count});
    switch (found) {
        case progress::need_more: socket_.skip(scratch.first(taken)); return outcome::would_block;
        case progress::missing:
        case progress::malformed:
            refuse_header(found == progress::missing ? rule::proxy_header_missing : rule::proxy_header_malformed, at);
            return outcome::would_block;
        case progress::complete: break;
    }
    socket_.skip(scratch.first(taken));
    from.how = found;
    if (const auto& named = from.header.client()) from.caller = *named;
    if (!loop_.has_place_for(caller(), share_)) machine_.stand_above(rule::max_connections_per_client);
    trust();
    return outcome::done;
}

/// A check that names no client may send its header again before each of its requests. It changes nothing, and so it is
/// nothing that a client could gain by.
void connection::skip_another_header() {
    const auto scratch = loop_.scratch();
    const auto [how, count] = socket_.peek(scratch);
    if (how != outcome::done) return;
    proxy_header another;
    const auto [found, taken] = another.feed({scratch.data(), count});
    if (found == progress::complete && !another.client()) socket_.skip(scratch.first(taken));
}

/// Nobody is there to be answered in HTTP: it is counted, and closed.
void connection::refuse_header(rule by, const moment& at) {
    const ending_letters letters{by == rule::proxy_header_timeout ? 'T' : 'P', 'R'};
    proxied_->how = progress::malformed;
    loop_.requests().note_refusal(
        {.status = http::status(), .took = at.now - since(), .since = since(), .letters = letters, .refused_by = by},
        *this);
    socket_.discard(loop_.scratch());  // else the close is a reset
    machine_.turn_away(letters);
}

}  // namespace server
