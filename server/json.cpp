#include "server/json.hpp"

#include <fmt/format.h>

#include <boost/json/error.hpp>
#include <boost/json/parser.hpp>
#include <boost/json/serialize.hpp>

namespace server::json {
namespace {

/// RFC 8259 section 11, RFC 6839 section 3.1; the parameters say nothing of JSON.
bool is_json(std::string_view type) noexcept {
    type = type.substr(0, type.find(';'));
    while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
    constexpr std::string_view suffix = "+json";
    const bool has_suffix = type.size() > suffix.size() && same_name(type.substr(type.size() - suffix.size()), suffix);
    return has_suffix || same_name(type, "application/json");
}

problem_details refused(http::status status, std::string detail) {
    problem_details why;
    why.status = status;
    why.detail = std::move(detail);
    return why;
}

}  // namespace

result<boost::json::value> parse(const request& of, std::size_t depth) {
    if (!is_json(of.header(http::field::content_type)))
        return refused(http::status::unsupported_media_type, "Content-Type: application/json is taken here");
    boost::json::parse_options options;
    options.max_depth = depth;
    boost::json::parser parser({}, options);
    boost::json::error_code error;
    const auto good = parser.write_some(of.body.data(), of.body.size(), error);
    if (error == boost::json::error::too_deep)
        return refused(http::status::bad_request, fmt::format("nested more than {} deep", depth));
    if (error) return refused(http::status::bad_request, fmt::format("no JSON: {} at byte {}", error.message(), good));
    if (good < of.body.size())
        return refused(http::status::bad_request, fmt::format("no JSON: more follows at byte {}", good));
    return parser.release();
}

/// RFC 6901 section 3.
faults::inside::inside(faults& of, std::string_view member) : of_(of), before_(of.at_.size()) {
    of_.at_ += '/';
    for (const char each : member)
        if (each == '~')
            of_.at_ += "~0";
        else if (each == '/')
            of_.at_ += "~1";
        else
            of_.at_ += each;
}

std::string size::allowed(std::string_view type) const {
    return fmt::format("{} of {} to {} {}", type, least, most, type == "an array" ? "elements" : "bytes");
}

std::string between_texts(std::string_view type, const std::string& least, const std::string& most) {
    return fmt::format("{} from {} to {}", type, least, most);
}

std::string as_text(std::int64_t number) { return std::to_string(number); }
std::string as_text(std::uint64_t number) { return std::to_string(number); }
std::string as_text(double number) { return fmt::format("{}", number); }

std::string serialized(const boost::json::value& value) { return boost::json::serialize(value); }

}  // namespace server::json
