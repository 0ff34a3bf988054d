#pragma once

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "server/problem.hpp"
#include "server/request.hpp"
#include "server/response.hpp"

/// Bodies in JSON, as structs that say which members they have and what is allowed in them:
///
///     struct order {
///         std::string item;
///         int quantity = 0;
///         std::optional<std::string> note;
///
///         static constexpr auto json_members = server::json::members(
///             server::json::member("item", &order::item, server::json::size(1, 80)),
///             server::json::member("quantity", &order::quantity, server::json::between(1, 100)),
///             server::json::member("note", &order::note));
///     };
///
/// A member is a bool, a number, a std::string, a std::vector or std::optional of these, a struct of this kind, or a
/// boost::json::value, which is taken as it is. All but optional ones must be there. Other members of a body are
/// ignored: a client may be newer than this process, and during a deploy it is.
namespace server::json {

/// What a value must be besides its type. `allowed` completes the words for the type, such as "a whole number".
struct anything {
    static bool allows(const auto&) noexcept { return true; }
    static std::string allowed(std::string_view type) { return std::string(type); }
};

template <class T>
struct between {
    constexpr between(T from, T to) : least(from), most(to) {}
    bool allows(const auto& value) const noexcept;
    std::string allowed(std::string_view type) const;
    T least, most;
};

/// Of a text its bytes, of an array its elements.
struct size {
    constexpr size(std::size_t from, std::size_t to) : least(from), most(to) {}
    bool allows(const auto& value) const noexcept { return least <= value.size() && value.size() <= most; }
    std::string allowed(std::string_view type) const;
    std::size_t least, most;
};

template <std::size_t count>
struct one_of {
    template <class... Texts>
    explicit constexpr one_of(Texts... texts) : known{{texts...}} {}
    bool allows(std::string_view value) const noexcept {
        for (const auto& each : known)
            if (each == value) return true;
        return false;
    }
    std::string allowed(std::string_view) const {
        std::string text;
        for (const auto& each : known) text.append(text.empty() ? "one of " : ", ").append(each);
        return text;
    }
    std::array<std::string_view, count> known;
};
template <class... Texts>
one_of(Texts...) -> one_of<sizeof...(Texts)>;

template <class Struct, class T, class Rule>
struct member_of {
    std::string_view name;
    T Struct::*at;
    Rule rule;
};

template <class Struct, class T, class Rule = anything>
constexpr member_of<Struct, T, Rule> member(std::string_view name, T Struct::*at, Rule rule = {}) {
    return {name, at, rule};
}
template <class... Members>
constexpr std::tuple<Members...> members(Members... all) {
    return {all...};
}

/// A T, or what its client is told instead.
template <class T>
class result {
public:
    result(T made) : made_(std::move(made)) {}             // not explicit: `return made;`
    result(problem_details why) : why_(std::move(why)) {}  // nor this
    explicit operator bool() const noexcept { return made_.has_value(); }
    const T& operator*() const { return made_.value(); }
    const T* operator->() const { return &made_.value(); }
    const problem_details& why() const noexcept { return why_; }
    /// 415: it does not say that it is JSON; 400: it is not JSON; 422: it is not what was described, with the places.
    response problem() const { return server::problem(why_); }

private:
    std::optional<T> made_;
    problem_details why_;
};

constexpr std::size_t most_depth = 32;  ///< of arrays and objects in each other

/// The body. Its size is limited by what the route accepts: `app.max_body_bytes`. Its Content-Type must be
/// application/json or end in +json, which a form of another site cannot send without being asked for its origin first.
result<boost::json::value> parse(const request& of, std::size_t depth = most_depth);

/// The body as a T, which is described as above, or is a vector of such a type.
template <class T>
result<T> read(const request& of, std::size_t depth = most_depth);

/// In JSON, on one line. A number that JSON has no word for (NaN, an infinity) is null.
template <class T>
std::string write(const T& value);

/// An answer with that as its body.
template <class T>
response answer(http::status status, const T& value) {
    return response(status, write(value) + '\n', "application/json");
}

}  // namespace server::json

#include "server/json_members.hpp"
