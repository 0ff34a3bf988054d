#pragma once

#include <fmt/core.h>
#include <spdlog/logger.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

namespace lifecycle {

/// One fact of a log line: a name from a closed list (docs/log.schema.json) and its value. A view: what it says must
/// outlive it. One without a name, or a text that is empty, is part of the sentence alone.
struct log_fact {
    enum class kind : std::uint8_t { text, json, integer, count, real, truth, microseconds };

    constexpr log_fact() = default;
    constexpr log_fact(std::string_view called, std::string_view says) : name(called), text(says) {}
    template <class T>
    requires std::is_arithmetic_v<T>
    constexpr log_fact(std::string_view called, T value) : name(called) {
        if constexpr (std::same_as<T, bool>) {
            what = kind::truth;
            integer = value ? 1 : 0;
        } else if constexpr (std::floating_point<T>) {
            what = kind::real;
            real = value;
        } else if constexpr (std::signed_integral<T>) {
            what = kind::integer;
            integer = value;
        } else {
            what = kind::count;
            count = value;
        }
    }
    /// A whole JSON value, made by us.
    static constexpr log_fact of_json(std::string_view called, std::string_view value) {
        log_fact made(called, value);
        made.what = kind::json;
        return made;
    }
    /// Shown as milliseconds, 0.250.
    static constexpr log_fact of_microseconds(std::string_view called, std::uint64_t value) {
        log_fact made(called, value);
        made.what = kind::microseconds;
        return made;
    }
    constexpr bool is_field() const noexcept {
        return !name.empty() && ((what != kind::text && what != kind::json) || !text.empty());
    }

    std::string_view name, text;
    union {
        std::int64_t integer = 0;
        std::uint64_t count;
        double real;
    };
    kind what = kind::text;
};

/// For `lines`: a whole JSON value, and not a text.
struct json_value {
    std::string_view text;
};

/// The facts of the line that is being written on this thread, for sinks that show them one by one; the sentence that
/// they are given has them too. Those of the request that it is about stand apart.
struct log_facts {
    std::span<const log_fact> own, of_request;
};
/// Empty outside of `sink::log`, and in that of a line without facts. Good until it returns.
log_facts facts_of_this_line() noexcept;

/// A sentence with a name for each value, "sink {sink} fails: {error}", taken apart by the compiler. `{}`
/// is a value that is no fact of its own. Names are a-z, 0-9 and _.
template <class... Values>
struct sentence {
    consteval sentence(const char* text) {  // not explicit: a literal
        std::string_view left(text);
        for (std::size_t nth = 0; nth < sizeof...(Values); ++nth) {
            const auto open = left.find('{');
            if (open == left.npos) throw "fewer names than values";
            const auto close = left.find('}', open);
            if (close == left.npos) throw "a name without its end";
            pieces[nth] = left.substr(0, open);
            names[nth] = left.substr(open + 1, close - open - 1);
            for (const char name : names[nth])
                if (!((name >= 'a' && name <= 'z') || (name >= '0' && name <= '9') || name == '_')) throw "not a name";
            left.remove_prefix(close + 1);
        }
        if (left.find('{') != left.npos) throw "more names than values";
        pieces[sizeof...(Values)] = left;
    }
    std::array<std::string_view, sizeof...(Values) + 1> pieces;
    std::array<std::string_view, sizeof...(Values) + 1> names;
};

/// Lines whose values have names: `lines(log).warn(sentence, values…)`. As text they are the sentence, as JSON each
/// value is a field too. Safe from any thread; whether it blocks or throws depends on the logger.
class lines {
public:
    static constexpr std::size_t most_of_request = 4;

    explicit lines(spdlog::logger& to) noexcept : to_(&to) {}
    /// What is said goes nowhere if `to` is nullptr. `of_request` is in each line as well, at most `most_of_request`.
    lines(spdlog::logger* to, std::span<const log_fact> of_request) noexcept;

    template <class... Values>
    void debug(sentence<std::type_identity_t<Values>...> text, const Values&... values) const {
        put(spdlog::level::debug, text, values...);
    }
    template <class... Values>
    void info(sentence<std::type_identity_t<Values>...> text, const Values&... values) const {
        put(spdlog::level::info, text, values...);
    }
    template <class... Values>
    void warn(sentence<std::type_identity_t<Values>...> text, const Values&... values) const {
        put(spdlog::level::warn, text, values...);
    }
    template <class... Values>
    void error(sentence<std::type_identity_t<Values>...> text, const Values&... values) const {
        put(spdlog::level::err, text, values...);
    }

private:
    template <class T>
    static log_fact fact(std::string_view name, const T& value) {
        if constexpr (std::same_as<T, json_value>)
            return log_fact::of_json(name, value.text);
        else if constexpr (std::is_arithmetic_v<T>)
            return {name, value};
        else
            return {name, std::string_view(value)};
    }
    template <class... Values>
    void put(spdlog::level::level_enum level, const sentence<std::type_identity_t<Values>...>& text,
             const Values&... values) const {
        if (to_ == nullptr || !to_->should_log(level)) return;
        std::size_t nth = 0;
        const std::array<log_fact, sizeof...(Values)> facts{fact(text.names[nth++], values)...};
        write(level, text.pieces, facts);
    }
    void write(spdlog::level::level_enum level, std::span<const std::string_view> pieces,
               std::span<const log_fact> facts) const;

    spdlog::logger* to_;
    std::array<log_fact, most_of_request> of_request_;
    std::size_t of_request_count_ = 0;
};

}  // namespace lifecycle
