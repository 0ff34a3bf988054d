#include "tests/support/response_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace support {
namespace {

[[noreturn]] void refuse(std::string_view what, std::string_view line) {
    throw std::runtime_error(fmt::format("{}: '{}'", what, line.substr(0, 120)));
}

bool same_name(std::string_view left, std::string_view right) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                      [&](char a, char b) { return lower(a) == lower(b); });
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

std::size_t number(std::string_view text, int base, std::string_view what) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty()) refuse(what, text);
    return value;
}

/// Status line and headers; `head` ends with the CRLF of its last line.
response parse_head(std::string_view head) {
    response result;
    const auto line = head.substr(0, head.find("\r\n"));
    if (!line.starts_with("HTTP/1.") || line.size() < 12 || line[8] != ' ') refuse("not a status line", line);
    result.version = line.substr(0, 8);
    result.status = static_cast<int>(number(line.substr(9, 3), 10, "not a status"));
    for (head.remove_prefix(line.size() + 2); !head.empty();) {
        const auto field = head.substr(0, head.find("\r\n"));
        const auto colon = field.find(':');
        if (colon == std::string_view::npos || colon == 0) refuse("not a header", field);
        if (field.find_first_of("\r\n") != std::string_view::npos) refuse("a line end in a header", field);
        result.headers.emplace_back(field.substr(0, colon), trimmed(field.substr(colon + 1)));
        head.remove_prefix(field.size() + 2);
    }
    return result;
}

/// The length of a chunked body, its data in `pieces`; none while it is not whole.
std::optional<std::size_t> walk_chunks(std::string_view bytes, std::vector<std::string_view>& pieces) {
    for (std::size_t at = 0;;) {
        const auto line_end = bytes.find("\r\n", at);
        if (line_end == std::string_view::npos) return std::nullopt;
        const auto line = bytes.substr(at, line_end - at);
        const auto size = number(line.substr(0, line.find(';')), 16, "not a chunk size");
        at = line_end + 2;
        if (bytes.size() < at + size + 2) return std::nullopt;
        if (bytes.substr(at + size, 2) != "\r\n") refuse("a chunk without end", line);
        if (size == 0) return at + 2;  // our server sends no trailers
        pieces.push_back(bytes.substr(at, size));
        at += size + 2;
    }
}

}  // namespace

std::string_view response::header(std::string_view name) const {
    for (const auto& [key, value] : headers)
        if (same_name(key, name)) return value;
    return {};
}

bool response::has(std::string_view name) const {
    return std::any_of(headers.begin(), headers.end(), [&](const auto& h) { return same_name(h.first, name); });
}

bool response::closes() const { return same_name(header("Connection"), "close"); }

std::optional<response> response_reader::next(bool to_head) {
    const auto head_end = buffer_.find("\r\n\r\n");
    if (head_end == std::string::npos) return std::nullopt;
    auto result = parse_head(std::string_view(buffer_).substr(0, head_end + 2));
    const auto rest = std::string_view(buffer_).substr(head_end + 4);
    std::size_t length = 0;
    const bool bodiless = to_head || result.status < 200 || result.status == 204 || result.status == 304;
    result.chunked = same_name(result.header("Transfer-Encoding"), "chunked");
    if (result.chunked && result.has("Content-Length")) refuse("two lengths", result.header("Content-Length"));
    if (bodiless) {
        length = 0;
    } else if (result.chunked) {
        std::vector<std::string_view> pieces;
        const auto whole = walk_chunks(rest, pieces);
        if (!whole) return std::nullopt;
        for (const auto piece : pieces) result.body.append(piece);
        length = *whole;
    } else {
        if (!result.has("Content-Length")) refuse("a body without length", buffer_.substr(0, head_end));
        length = number(result.header("Content-Length"), 10, "not a length");
        if (rest.size() < length) return std::nullopt;
        result.body = rest.substr(0, length);
    }
    buffer_.erase(0, head_end + 4 + length);
    return result;
}

}  // namespace support
