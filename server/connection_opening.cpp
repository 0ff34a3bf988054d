#include "server/connection_opening.hpp"

#include "server/loop/resources.hpp"

namespace server {

using outcome = transport::outcome;
using progress = proxy_header::progress;

void connection_opening::trust() {
    const auto& trusted = loop_.serving().limits->trusted_proxies;
    machine_.trust_peer(!trusted.empty() && is_among(caller(), trusted));
}

void connection_opening::lend(std::unique_ptr<workspace> to_machine) noexcept {
    machine_.lend(std::move(to_machine));
    auto& request = machine_.request();
    auto& current = machine_.current();
    current.caller = proxied_ ? &proxied_->caller : nullptr;
    current.scheme = socket_.between() != nullptr ? "https" : "http";
    request.peer = peer_;
    request.named_client = current.caller;
    request.scheme = current.scheme;
    request.client_subject = subject();
}

transport::outcome connection_opening::read_proxy_header(const moment& at) {
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
void connection_opening::skip_another_header() {
    const auto scratch = loop_.scratch();
    const auto [how, count] = socket_.peek(scratch);
    if (how != outcome::done) return;
    proxy_header another;
    const auto [found, taken] = another.feed({scratch.data(), count});
    if (found == progress::complete && !another.client()) socket_.skip(scratch.first(taken));
}

void connection_opening::refuse_header(rule by, const moment& at) {
    const ending_letters letters{by == rule::proxy_header_timeout ? 'T' : 'P', 'R'};
    proxied_->how = progress::malformed;
    loop_.requests().note_refusal(
        {.status = http::status(), .took = at.now - since(), .since = since(), .letters = letters, .refused_by = by},
        *this);
    socket_.discard(loop_.scratch());  // else the close is a reset
    machine_.turn_away(letters);
}

// ── the handshake of its layer ──────────────────────────────────────────────────────────────────

bool connection_opening::may_shake_hands() noexcept { return loop_.may_shake_hands(); }

transport::outcome connection_opening::shake(const moment& at) {
    const auto how = socket_.shake();
    const auto& between = *socket_.between();
    switch (between.now_in()) {
        case layer::stage::open:
            machine_.opened(at);
            if (between.speaks_http2() && loop_.http2() != nullptr) {
                machine_.change_over();
                return transport::outcome::would_block;
            }
            return transport::outcome::done;
        case layer::stage::failed:
            loop_.log().no_handshake(between.why(), peer_);
            machine_.turned_away();
            return transport::outcome::would_block;
        case layer::stage::clear:
            socket_.put(nullptr);
            if (!machine_.has_workspace()) lend(loop_.workspaces().lend());
            machine_.refuse_clear(at);
            return transport::outcome::would_block;
        default:
            if (between.stirs()) machine_.stirred(at);
            return how;
    }
}

}  // namespace server
