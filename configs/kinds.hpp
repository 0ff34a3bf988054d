#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

#include "configs/settings.hpp"
#include "configs/values.hpp"

// The kinds of row that the table is made of, for settings.cpp and for a program that has rows of its own
// (configs/program.hpp). `field` is a callable that gives a reference into a config, const or not; each kind checks a
// text and turns it into that field's type.
namespace configs::kinds {

using std::chrono::milliseconds;
using form = setting::form;

/// A field that a reload changes.
template <class Field>
struct live : Field {
    static constexpr bool reloadable = true;
};

/// Joins a field of config with how its text is read and written.
template <class Field, class Parse, class Print>
setting make(std::string_view key, std::string_view help, std::string_view allowed, form written, Field field,
             const Parse& parse, const Print& print) {
    const auto set = [field, parse](config& to, std::string_view text) {
        auto value = parse(text);
        if (value) field(to) = std::move(*value);
        return value.has_value();
    };
    const auto get = [field, print](const config& from) { return std::string(print(field(from))); };
    constexpr bool reloadable = requires { Field::reloadable; };
    return {.key = std::string(key),
            .help = std::string(help),
            .allowed = std::string(allowed),
            .written = written,
            .set = set,
            .get = get,
            .reloadable = reloadable};
}

template <class T, class Parse>
auto in_range(Parse parse, T low, T high) {
    return [=](std::string_view text) -> std::optional<T> {
        const auto value = parse(text);
        if (!value || std::cmp_less(*value, low) || std::cmp_greater(*value, high)) return std::nullopt;
        return static_cast<T>(*value);
    };
}

template <class Field>
using type_of = std::remove_cvref_t<std::invoke_result_t<Field, config&>>;

template <class Field>
setting number(std::string_view key, std::string_view help, Field field, std::uint64_t low, std::uint64_t high) {
    using T = type_of<Field>;
    return make(key, help, fmt::format("a whole number from {} to {}", low, high), form::bare, field,
                in_range(parse_number, static_cast<T>(low), static_cast<T>(high)),
                [](T value) { return std::to_string(value); });
}

template <class Field>
setting size(std::string_view key, std::string_view help, Field field, std::size_t low, std::size_t high) {
    return make(key, help, fmt::format("a size from {} to {}", format_size(low), format_size(high)), form::measure,
                field, in_range(parse_size, low, high), format_size);
}

template <class Field>
setting duration(std::string_view key, std::string_view help, Field field, milliseconds low,
                 milliseconds high = std::chrono::hours{24}) {
    const auto parse = [=](std::string_view text) {
        const auto value = parse_duration(text);
        return value && *value >= low && *value <= high ? value : std::nullopt;
    };
    return make(key, help, fmt::format("a duration from {} to {}", format_duration(low), format_duration(high)),
                form::measure, field, parse, format_duration);
}

template <class Field>
setting boolean(std::string_view key, std::string_view help, Field field) {
    const auto parse = [](std::string_view text) -> std::optional<bool> {
        if (text != "true" && text != "false") return std::nullopt;
        return text == "true";
    };
    return make(key, help, "true or false", form::bare, field, parse,
                [](bool value) { return value ? "true" : "false"; });
}

/// A string field that takes what `accept` does.
template <class Field, class Accept>
setting text(std::string_view key, std::string_view help, std::string_view allowed, Field field, Accept accept) {
    const auto parse = [accept](std::string_view given) {
        return accept(given) ? std::optional<std::string>(given) : std::nullopt;
    };
    return make(key, help, allowed, form::text, field, parse, [](const std::string& value) { return value; });
}

template <class Field>
setting address(std::string_view key, std::string_view help, Field field) {
    const auto allowed =
        fmt::format("an IP address, not a name, or unix:PATH with at most {} bytes of path that does not begin with @",
                    longest_socket_path);
    return text(key, help, allowed, field, is_listen_address);
}

template <class Field>
setting mode(std::string_view key, std::string_view help, Field field) {
    return make(key, help, "octal permissions from 0000 to 0777", form::text, field, parse_mode, format_mode);
}

template <class Field>
setting trusted(std::string_view key, std::string_view help, Field field) {
    return make(key, help, "IP addresses, prefixes such as 10.0.0.0/8 or fd00::/8, and unix, separated by commas",
                form::list, field, parse_trusted, format_trusted);
}

template <class Field>
setting file(std::string_view key, std::string_view help, Field field) {
    return text(key, help, "a path, or empty for none", field, is_text);
}

/// What is not shown, in no output. The table gets a row after it, KEY_file, for a file with the value.
inline setting secret(setting from) {
    from.secret = true;
    return from;
}

/// A URL, or several with commas. Users and queries are shown in no output; it has a row KEY_file too.
template <class Field>
setting url(std::string_view key, std::string_view help, std::string_view allowed, Field field) {
    auto made = text(key, help, allowed, field, is_text);
    made.url = true;
    return made;
}

template <class Field>
setting host_names(std::string_view key, std::string_view help, Field field) {
    const auto parse = [](std::string_view given) {
        auto names = split_list(given);
        return std::ranges::all_of(names, is_host_name) ? std::optional(std::move(names)) : std::nullopt;
    };
    return make(key, help, "host names without port, separated by commas", form::list, field, parse,
                [](const std::vector<std::string>& names) { return fmt::format("{}", fmt::join(names, ",")); });
}

/// Of URLs, decoded.
template <class Field>
setting paths(std::string_view key, std::string_view help, Field field) {
    const auto parse = [](std::string_view given) {
        auto all = split_list(given);
        const auto right = [](const std::string& text) { return text.starts_with('/') && is_text(text); };
        return std::ranges::all_of(all, right) ? std::optional(std::move(all)) : std::nullopt;
    };
    return make(key, help, "paths that begin with /, separated by commas", form::list, field, parse,
                [](const std::vector<std::string>& all) { return fmt::format("{}", fmt::join(all, ",")); });
}

/// Of files.
template <class Field>
setting files(std::string_view key, std::string_view help, Field field) {
    const auto parse = [](std::string_view given) {
        auto all = split_list(given);
        const auto right = [](const std::string& text) { return !text.empty() && is_text(text); };
        return std::ranges::all_of(all, right) ? std::optional(std::move(all)) : std::nullopt;
    };
    return make(key, help, "paths, separated by commas, or empty for none", form::list, field, parse,
                [](const std::vector<std::string>& all) { return fmt::format("{}", fmt::join(all, ",")); });
}

/// The names that a field's values go by; only what is listed can be chosen.
template <class T>
using choices = std::vector<std::pair<std::string, T>>;

template <class Field>
setting choice(std::string_view key, std::string_view help, Field field, const choices<type_of<Field>>& among) {
    std::string names;
    for (const auto& pair : among) names += (names.empty() ? "" : ", ") + pair.first;
    const auto parse = [among](std::string_view name) -> std::optional<type_of<Field>> {
        for (const auto& pair : among)
            if (pair.first == name) return pair.second;
        return std::nullopt;
    };
    const auto print = [among](const type_of<Field>& value) {
        for (const auto& pair : among)
            if (pair.second == value) return pair.first;
        return std::string();
    };
    return make(key, help, (among.size() > 1 ? "one of " : "") + names, form::text, field, parse, print);
}

template <class Field>
setting word(std::string_view key, std::string_view help, Field field, const std::vector<std::string>& among) {
    choices<std::string> pairs;
    for (const auto& name : among) pairs.emplace_back(name, name);
    return choice(key, help, field, pairs);
}

/// One or more of them, each once.
template <class Field>
setting words(std::string_view key, std::string_view help, Field field, const std::vector<std::string>& among) {
    const auto parse = [among](std::string_view given) {
        auto names = split_list(given);
        const auto right = [&](const auto& name) {
            return std::ranges::count(among, name) > 0 && std::ranges::count(names, name) == 1;
        };
        return !names.empty() && std::ranges::all_of(names, right) ? std::optional(names) : std::nullopt;
    };
    return make(key, help, fmt::format("one or more of {}", fmt::join(among, ", ")), form::list, field, parse,
                [](const std::vector<std::string>& names) { return fmt::format("{}", fmt::join(names, ",")); });
}

}  // namespace configs::kinds
