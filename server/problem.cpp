#include "server/problem.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace server {
namespace {

constexpr std::string_view media_type = "application/problem+json";

std::string_view reason_of(http::status code) noexcept {
    const auto reason = http::obsolete_reason(code);
    return {reason.data(), reason.size()};
}

}  // namespace

/// As the other one says it, without its allocations: this is what an overloaded server answers most.
response problem(http::status code) {
    const auto reason = reason_of(code);  // of letters, spaces and the like: nothing in it is to be escaped
    const auto number = std::to_string(static_cast<unsigned>(code));
    std::string text;
    text.reserve(32 + reason.size());
    text.append("{\"title\":\"").append(reason).append("\",\"status\":").append(number).append("}\n");
    return response(code, std::move(text), media_type);
}

response problem(const problem_details& details) {
    boost::json::object said;
    const auto say = [&said](std::string_view name, std::string_view value) {
        if (!value.empty()) said.emplace(name, value);
    };
    say("type", details.type);
    say("title", details.title.empty() ? reason_of(details.status) : std::string_view(details.title));
    said.emplace("status", static_cast<unsigned>(details.status));
    say("detail", details.detail);
    say("instance", details.instance);
    boost::json::array errors;
    for (std::size_t nth = 0; nth < std::min(details.errors.size(), problem_details::most_errors); ++nth)
        errors.push_back({{"pointer", details.errors[nth].pointer}, {"detail", details.errors[nth].detail}});
    if (!errors.empty()) said.emplace("errors", std::move(errors));
    return response(details.status, boost::json::serialize(said) + '\n', media_type);
}

}  // namespace server
