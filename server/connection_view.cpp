// What people see of a connection.

#include <fmt/format.h>

#include <array>

#include "server/connection.hpp"

namespace server {

/// The request that it works on, or that it is about now; nullptr: there is none.
const exchange* connection::current() const noexcept {
    if (session_) return session_->in_focus().current;
    return machine_.has_workspace() ? &machine_.current() : nullptr;
}

const request* connection::asked_of() const noexcept {
    if (session_) return session_->in_focus().asked;
    return machine_.has_workspace() ? &machine_.request() : nullptr;
}

std::string connection::describe() const {
    const auto* const serving = current();
    return serving != nullptr && serving->to != nullptr ? serving->to->name : "connection";
}

std::source_location connection::waits_at() const noexcept {
    const auto* const serving = current();
    const bool has_handler = now_in() == state::handling || now_in() == state::streaming;
    return serving != nullptr && has_handler ? serving->scope.get().waits_at() : std::source_location{};
}

std::string_view connection::trace_id() const noexcept {
    const auto* const asked = asked_of();
    return asked != nullptr ? asked->trace.id() : std::string_view();
}

std::string_view connection::target() const noexcept {
    const auto* const asked = asked_of();
    return asked != nullptr && now_in() == state::handling ? asked->target : std::string_view();
}

std::string connection::identity() const {
    const auto* const asked = asked_of();
    if (asked == nullptr) return "no request";
    return fmt::format("request {}{}{}", asked->id, asked->trace ? ", trace " : "", asked->trace.id());
}

lifecycle::lines connection::lines_to(spdlog::logger& log) const noexcept {
    const auto* const asked = asked_of();
    if (asked == nullptr) return lifecycle::lines(log);
    const std::array facts{lifecycle::log_fact("request_id", asked->id),
                           lifecycle::log_fact("trace_id", asked->trace.id())};
    return {&log, facts};
}

}  // namespace server
