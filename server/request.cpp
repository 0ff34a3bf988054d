#include "server/request.hpp"

#include <boost/beast/core/string.hpp>
#include <boost/url/decode_view.hpp>
#include <boost/url/encoding_opts.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <cstdint>
#include <utility>

#include "server/target.hpp"

namespace server {

bool is_sound_id(std::string_view text) noexcept {
    constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";
    return !text.empty() && text.size() <= 128 && text.find_first_not_of(allowed) == text.npos;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) noexcept {
    using std::chrono::milliseconds;
    std::int64_t number = 0;
    const auto* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, number);
    const std::string_view unit(at, static_cast<std::size_t>(end - at));
    // A day in milliseconds: no deadline is longer, and no multiplication below overflows.
    if (error != std::errc{} || number < 0 || number > 86'400'000) return std::nullopt;
    if (unit == "ms") return milliseconds(number);
    if (unit == "s") return milliseconds(number * 1'000);
    if (unit == "m") return milliseconds(number * 60'000);
    return std::nullopt;
}

bool same_name(std::string_view a, std::string_view b) noexcept {
    return boost::beast::iequals({a.data(), a.size()}, {b.data(), b.size()});
}

std::string_view request::header(http::field name) const noexcept {
    for (const auto& field : fields)
        if (field.known == name) return field.value;
    return {};
}

std::string_view request::header(std::string_view name) const noexcept {
    for (const auto& field : fields)
        if (same_name(field.name, name)) return field.value;
    return {};
}

std::string_view request::trailer(std::string_view name) const noexcept {
    for (const auto& field : trailers)
        if (same_name(field.name, name)) return field.value;
    return {};
}

std::string_view request::content_coding() const noexcept {
    for (const auto& field : fields)
        if (field.known == http::field::content_encoding && !field.value.empty() && !same_name(field.value, "identity"))
            return field.value;
    return {};
}

std::string_view request::parameter(std::string_view name) const noexcept {
    for (const auto& [key, value] : parameters)
        if (key == name) return value;
    return {};
}

namespace {

/// Calls `see` with each value of that name until it returns false.
template <class See>
void for_each_value(std::string_view query, std::string_view name, See see) {
    // Not boost::urls::parse_query: in 1.81 it takes the query for a C string and reads beyond its end.
    if (query.empty()) return;
    const auto reference = query_reference(query);
    const auto parsed = boost::urls::parse_relative_ref(reference);
    if (!parsed) return;
    boost::urls::encoding_opts form;
    form.space_as_plus = true;
    // Not params(): the iterator makes strings where it is noexcept, so a lack of memory would end the process.
    for (const auto& pair : parsed->encoded_params())
        if (boost::urls::decode_view(pair.key, form) == name && !see(pair.value.decode(form))) return;
}

}  // namespace

std::optional<std::string> request::query_value(std::string_view name) const {
    std::optional<std::string> found;
    for_each_value(query, name, [&](std::string value) {
        found = std::move(value);
        return false;
    });
    return found;
}

std::vector<std::string> request::query_values(std::string_view name) const {
    std::vector<std::string> found;
    for_each_value(query, name, [&](std::string value) {
        found.push_back(std::move(value));
        return true;
    });
    return found;
}

}  // namespace server
