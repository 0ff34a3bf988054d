#include "server/response.hpp"

#include <stdexcept>

#include "server/head.hpp"
#include "server/request.hpp"

namespace server {

response::response(http::status code, std::string text, std::string_view type)
    : status(code), body(std::move(text)), content_type(type) {}

response response::stream(source from, std::optional<std::uint64_t> size, std::string_view type) {
    response made(http::status::ok, {}, type);
    made.pieces = std::move(from);
    made.length = size;
    return made;
}

static void check_field(std::string_view name, std::string_view value) {
    if (!is_field_name(name)) throw std::invalid_argument("the name of a response field is not a token");
    if (!is_field_value(value)) throw std::invalid_argument("the value of a response field holds CR, LF or NUL");
}

response& response::set(std::string_view name, std::string_view value) {
    check_field(name, value);
    const auto behind = fields_.substr(fields_end_);
    fields_.resize(fields_end_);
    fields_.append(name).append(": ").append(value).append("\r\n");
    fields_end_ = fields_.size();
    fields_ += behind;
    return *this;
}

response& response::trail(std::string_view name, std::string_view value) {
    check_field(name, value);
    fields_.append(name).append(": ").append(value).append("\r\n");
    return *this;
}

bool response::has(std::string_view name) const noexcept {
    for (auto rest = fields(); !rest.empty(); rest.remove_prefix(rest.find('\n') + 1))
        if (same_name(rest.substr(0, rest.find(':')), name)) return true;
    return false;
}

}  // namespace server
