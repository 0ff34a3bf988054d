#include "lifecycle/masked_urls.hpp"

#include <algorithm>

namespace lifecycle {
namespace {

constexpr std::string_view after_scheme = "://";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// RFC 3986, section 3.1.
bool is_of_scheme(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '+' || c == '-' || c == '.';
}

/// Where the URL ends whose authority begins at `from`: before a comma or a blank that a scheme follows. A comma alone
/// may be part of it.
std::size_t end_of_url(std::string_view text, std::size_t from) {
    for (auto at = text.find(after_scheme, from); at != text.npos; at = text.find(after_scheme, at + 1)) {
        auto scheme = at;
        while (scheme > from && is_of_scheme(text[scheme - 1])) --scheme;
        if (scheme > from && scheme < at && (text[scheme - 1] == ',' || text[scheme - 1] == ' ')) return scheme - 1;
    }
    return text.size();
}

/// `host`, `host:80`, `[::1]:80`. What is not may be the beginning of a user and a password with a / or ? in it.
bool is_host_and_port(std::string_view authority) {
    const auto colon = authority.rfind(':');
    return colon == authority.npos || authority.ends_with(']') ||
           std::ranges::all_of(authority.substr(colon + 1), is_digit);
}

/// From the authority on.
std::string masked_url(std::string_view url) {
    const auto query = std::min(url.find_first_of("?#"), url.size());
    auto at = url.substr(0, query).rfind('@');
    if (at == url.npos && !is_host_and_port(url.substr(0, url.find_first_of("/?#")))) at = url.rfind('@');
    std::string shown;
    if (at != url.npos) {
        shown = mask;
        url.remove_prefix(at);
    }
    const auto rest = std::min(url.find_first_of("?#"), url.size());
    if (rest + 1 >= url.size()) return shown.append(url);  // none, or an empty one
    return shown.append(url.substr(0, rest + 1)).append(mask);
}

}  // namespace

std::string masked_urls(std::string_view text, url_text is) {
    std::string shown;
    std::size_t at = 0;
    const auto take = [&](std::size_t from) {
        const auto end = end_of_url(text, from);
        shown.append(text.substr(at, from - at)).append(masked_url(text.substr(from, end - from)));
        at = end;
    };
    const auto scheme = std::min(text.find(after_scheme), text.size());
    if (is == url_text::urls && !std::ranges::all_of(text.substr(0, scheme), is_of_scheme)) take(0);
    if (is == url_text::urls && scheme == text.size() && at == 0) take(0);
    for (auto next = text.find(after_scheme, at); next != text.npos; next = text.find(after_scheme, at))
        take(next + after_scheme.size());
    return shown.append(text.substr(at));
}

}  // namespace lifecycle
