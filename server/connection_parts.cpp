#include "server/connection_parts.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "server/loop/resources.hpp"

namespace server {

connection_parts::connection_parts(loop_resources& on, transport socket, arrival client) noexcept
    : loop_(on),
      socket_(std::move(socket)),
      peer_(client.peer),
      share_(std::move(client.share)),
      machine_(on.serving(), client.without) {}

const socket_address& connection_parts::client() const noexcept {
    const auto* const serving = current();
    if (serving == nullptr || !serving->is_forwarded) return caller();
    const auto& named = serving->from.client;
    return named ? *named : caller();
}

/// The request that it works on, or that it is about now; nullptr: there is none.
const exchange* connection_parts::current() const noexcept {
    if (session_) return session_->in_focus().current;
    return machine_.has_workspace() ? &machine_.current() : nullptr;
}

const request* connection_parts::asked_of() const noexcept {
    if (session_) return session_->in_focus().asked;
    return machine_.has_workspace() ? &machine_.request() : nullptr;
}

std::string connection_parts::describe() const {
    const auto* const serving = current();
    return serving != nullptr && serving->to != nullptr ? serving->to->name : "connection";
}

std::source_location connection_parts::waits_at() const noexcept {
    const auto* const serving = current();
    const bool has_handler = now_in() == state::handling || now_in() == state::streaming;
    return serving != nullptr && has_handler ? serving->scope.get().waits_at() : std::source_location{};
}

std::string_view connection_parts::trace_id() const noexcept {
    const auto* const asked = asked_of();
    return asked != nullptr ? asked->trace.id() : std::string_view();
}

std::string_view connection_parts::target() const noexcept {
    const auto* const asked = asked_of();
    return asked != nullptr && now_in() == state::handling ? asked->target : std::string_view();
}

std::string connection_parts::identity() const {
    const auto* const asked = asked_of();
    if (asked == nullptr) return "no request";
    return fmt::format("request {}{}{}", asked->id, asked->trace ? ", trace " : "", asked->trace.id());
}

lifecycle::lines connection_parts::lines_to(spdlog::logger& log) const noexcept {
    const auto* const asked = asked_of();
    if (asked == nullptr) return lifecycle::lines(log);
    const std::array facts{lifecycle::log_fact("request_id", asked->id),
                           lifecycle::log_fact("trace_id", asked->trace.id())};
    return {&log, facts};
}

}  // namespace server
