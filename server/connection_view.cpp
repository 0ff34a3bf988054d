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
    const auto* const one = current();
    return one != nullptr && one->to != nullptr ? one->to->name : "connection";
}

std::source_location connection::waits_at() const noexcept {
    const auto* const one = current();
    const bool has_handler = now_in() == state::handling || now_in() == state::streaming;
    return one != nullptr && has_handler ? one->scope.get().waits_at() : std::source_location{};
}

std::string_view connection::trace_id() const noexcept {
    const auto* const one = asked_of();
    return one != nullptr ? one->trace.id() : std::string_view();
}

std::string_view connection::target() const noexcept {
    const auto* const one = asked_of();
    return one != nullptr && now_in() == state::handling ? one->target : std::string_view();
}

std::string connection::identity() const {
    const auto* const one = asked_of();
    if (one == nullptr) return "no request";
    return fmt::format("request {}{}{}", one->id, one->trace ? ", trace " : "", one->trace.id());
}

lifecycle::lines connection::lines_to(spdlog::logger& log) const noexcept {
    const auto* const one = asked_of();
    if (one == nullptr) return lifecycle::lines(log);
    const std::array facts{lifecycle::log_fact("request_id", one->id),
                           lifecycle::log_fact("trace_id", one->trace.id())};
    return {&log, facts};
}

}  // namespace server
