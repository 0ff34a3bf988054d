#pragma once

// How server/json.hpp goes through what is described; to describe a struct, include that header.

#include "server/json.hpp"

namespace server::json {

/// What is wrong with a body, the first `problem_details::most_errors` of it.
class faults {
public:
    void add(std::string allowed) {
        if (!full()) found_.push_back({at_, std::move(allowed)});
    }
    bool full() const noexcept { return found_.size() == problem_details::most_errors; }
    std::size_t count() const noexcept { return found_.size(); }
    std::vector<problem_details::error> take() { return std::move(found_); }

    /// As long as it lives, what is added is wrong with this member or element of what was looked at.
    class inside {
    public:
        inside(faults& of, std::string_view member);
        inside(faults& of, std::size_t element) : inside(of, std::string_view(std::to_string(element))) {}
        ~inside() { of_.at_.resize(before_); }
        inside(const inside&) = delete;
        inside& operator=(const inside&) = delete;

    private:
        faults& of_;
        const std::size_t before_;
    };

private:
    std::string at_;
    std::vector<problem_details::error> found_;
};

template <class T>
concept described = requires {
    T::json_members;
};
template <class T>
concept number = (std::integral<T> || std::floating_point<T>)&&!std::same_as<T, bool>;

template <class T>
constexpr bool is_optional = false;
template <class T>
constexpr bool is_optional<std::optional<T>> = true;
template <class T>
constexpr bool is_array = false;
template <class T>
constexpr bool is_array<std::vector<T>> = true;

std::string between_texts(std::string_view type, const std::string& least, const std::string& most);
std::string as_text(std::int64_t number);
std::string as_text(std::uint64_t number);
std::string as_text(double number);

/// The widest of its kind.
template <number T>
auto widened(T value) noexcept {
    if constexpr (std::floating_point<T>)
        return static_cast<double>(value);
    else if constexpr (std::signed_integral<T>)
        return static_cast<std::int64_t>(value);
    else
        return static_cast<std::uint64_t>(value);
}

template <class T>
bool between<T>::allows(const auto& value) const noexcept {
    if constexpr (std::integral<T> && std::integral<std::remove_cvref_t<decltype(value)>>)
        return !std::cmp_less(value, least) && !std::cmp_greater(value, most);
    else
        return static_cast<double>(least) <= static_cast<double>(value) &&
               static_cast<double>(value) <= static_cast<double>(most);
}

template <class T>
std::string between<T>::allowed(std::string_view type) const {
    return between_texts(type, as_text(widened(least)), as_text(widened(most)));
}

template <class T, class Rule>
std::string allowed(const Rule& rule) {
    if constexpr (std::same_as<T, bool>)
        return rule.allowed("true or false");
    else if constexpr (std::integral<T> && std::same_as<Rule, anything>)
        return between(std::numeric_limits<T>::min(), std::numeric_limits<T>::max()).allowed("a whole number");
    else if constexpr (std::integral<T>)
        return rule.allowed("a whole number");
    else if constexpr (std::floating_point<T>)
        return rule.allowed("a number");
    else if constexpr (std::same_as<T, std::string>)
        return rule.allowed("a text");
    else if constexpr (is_array<T>)
        return rule.allowed("an array");
    else
        return rule.allowed("an object");
}

/// Whether it was one, as far as its own type goes.
inline bool take(bool& into, const boost::json::value& from) {
    if (from.is_bool()) into = from.get_bool();
    return from.is_bool();
}
inline bool take(std::string& into, const boost::json::value& from) {
    if (const auto* const text = from.if_string()) into.assign(text->data(), text->size());
    return from.is_string();
}
inline bool take(boost::json::value& into, const boost::json::value& from) {
    into = from;
    return true;
}
template <number T>
bool take(T& into, const boost::json::value& from) {
    if (!from.is_number()) return false;
    boost::json::error_code error;
    into = from.to_number<T>(error);
    if constexpr (std::floating_point<T>) return !error && std::isfinite(into);
    return !error;
}

/// What is wrong with it is added.
template <class T, class Rule>
void read_value(T& into, const boost::json::value& from, const Rule& rule, faults& wrong);

template <class Struct, class T, class Rule>
void read_member(Struct& into, const boost::json::object& from, const member_of<Struct, T, Rule>& each, faults& wrong) {
    if (wrong.full()) return;
    const faults::inside here(wrong, each.name);
    const auto* const value = from.if_contains(each.name);
    if (value != nullptr) return read_value(into.*each.at, *value, each.rule, wrong);
    if constexpr (!is_optional<T>) wrong.add("is required: " + allowed<T>(each.rule));
}

template <class T>
void read_elements(std::vector<T>& into, const boost::json::array& from, faults& wrong) {
    into.reserve(from.size());
    for (std::size_t nth = 0; nth < from.size() && !wrong.full(); ++nth) {
        const faults::inside here(wrong, nth);
        T made{};
        read_value(made, from[nth], anything(), wrong);
        into.push_back(std::move(made));
    }
}

template <class T, class Rule>
void read_value(T& into, const boost::json::value& from, const Rule& rule, faults& wrong) {
    if constexpr (is_optional<T>) {
        if (!from.is_null()) read_value(into.emplace(), from, rule, wrong);
    } else if constexpr (described<T>) {
        const auto* const object = from.if_object();
        if (object == nullptr) return wrong.add(allowed<T>(rule));
        std::apply([&](const auto&... each) { (read_member(into, *object, each, wrong), ...); }, T::json_members);
    } else if constexpr (is_array<T>) {
        const auto* const array = from.if_array();
        if (array == nullptr || !rule.allows(*array)) return wrong.add(allowed<T>(rule));
        read_elements(into, *array, wrong);
    } else if (!take(into, from) || !rule.allows(into)) {
        wrong.add(allowed<T>(rule));
    }
}

template <class T>
result<T> read(const request& of, std::size_t depth) {
    const auto parsed = parse(of, depth);
    if (!parsed) return parsed.why();
    T made{};
    faults wrong;
    read_value(made, *parsed, anything(), wrong);
    if (wrong.count() == 0) return made;
    problem_details why;
    why.status = http::status::unprocessable_entity;
    why.detail = "the body is not what is expected here";
    why.errors = wrong.take();
    return why;
}

template <class T>
boost::json::value to_value(const T& from) {
    if constexpr (is_optional<T>) {
        return from ? to_value(*from) : boost::json::value(nullptr);
    } else if constexpr (described<T>) {
        boost::json::object made;
        const auto put = [&](const auto& each) { made.emplace(each.name, to_value(from.*each.at)); };
        std::apply([&](const auto&... each) { (put(each), ...); }, T::json_members);
        return made;
    } else if constexpr (is_array<T>) {
        boost::json::array all;
        all.reserve(from.size());
        for (const typename T::value_type& each : from) all.push_back(to_value(each));
        return all;
    } else {
        if constexpr (std::floating_point<T>)
            if (!std::isfinite(from)) return nullptr;
        return boost::json::value(from);
    }
}

std::string serialized(const boost::json::value& value);

template <class T>
std::string write(const T& value) {
    return serialized(to_value(value));
}

}  // namespace server::json
