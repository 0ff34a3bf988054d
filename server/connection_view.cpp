// What people see of a connection.

#include <fmt/format.h>

#include <array>

#include "server/connection.hpp"

namespace server {

std::string connection::describe() const {
    const auto* const to = machine_.has_workspace() ? machine_.current().to : nullptr;
    return to != nullptr ? to->name : "connection";
}

std::source_location connection::waits_at() const noexcept {
    const bool has_handler = now_in() == state::handling || now_in() == state::streaming;
    return machine_.has_workspace() && has_handler ? machine_.current().scope.get().waits_at() : std::source_location{};
}

std::string_view connection::trace_id() const noexcept {
    return machine_.has_workspace() ? machine_.request().trace.id() : std::string_view();
}

std::string_view connection::target() const noexcept {
    return machine_.has_workspace() && now_in() == state::handling ? machine_.request().target : std::string_view();
}

std::string connection::identity() const {
    const auto& request = machine_.request();
    return fmt::format("request {}{}{}", request.id, request.trace ? ", trace " : "", request.trace.id());
}

lifecycle::lines connection::lines_to(spdlog::logger& log) const noexcept {
    const auto& request = machine_.request();
    const std::array facts{lifecycle::log_fact("request_id", request.id),
                           lifecycle::log_fact("trace_id", request.trace.id())};
    return {&log, facts};
}

}  // namespace server
