#include "tracker/cloud_event.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>

namespace tracker {
namespace {

/// Section 3.1.3.2 of the HTTP binding, and of that of NATS.
std::string percent_encoded(std::string_view value) {
    std::string made;
    for (const char c : value) {
        if (c > ' ' && c <= '~' && c != '"' && c != '%')
            made += c;
        else
            fmt::format_to(std::back_inserter(made), "%{:02X}", static_cast<unsigned char>(c));
    }
    return made;
}

/// The content type is not what the client says it is where a header could not carry it: HTTP has it as it is.
std::string printable(std::string_view value) {
    std::string made(value);
    std::ranges::replace_if(
        made, [](char c) { return c < ' ' || c > '~'; }, '?');
    return made;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> cloud_event(const event& event, const cloud_event_options& options,
                                                             binding whose) {
    std::vector<std::pair<std::string, std::string>> all;
    const auto add = [&](std::string_view name, std::string_view value) {
        if (name == "datacontenttype" && whose == binding::http)
            return all.emplace_back("Content-Type", printable(value));
        if (name == "datacontenttype" && whose == binding::kafka) return all.emplace_back("content-type", value);
        if (whose == binding::kafka) return all.emplace_back(fmt::format("ce_{}", name), value);
        return all.emplace_back(fmt::format("ce-{}", name), percent_encoded(value));
    };
    std::string time;
    append_time(time, event.time);
    add("specversion", "1.0");
    add("id", event.id);
    if (event.headers.find("source").empty()) add("source", options.source);
    if (event.headers.find("type").empty()) add("type", options.type);
    add("time", time);
    event.headers.each(add);
    return all;
}

}  // namespace tracker
