#include "configs/toml_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "tracker/utf8.hpp"

namespace configs {
namespace {

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

bool beyond_ascii(char byte) { return static_cast<unsigned char>(byte) >= 0x80; }

/// Goes through the text once, knows strings and comments from the rest, and copies.
class copier {
public:
    explicit copier(std::string_view text) : rest_(text) {}

    toml_text result() {
        if (rest_.starts_with(byte_order_mark)) copy(byte_order_mark.size());
        while (!stray_ && !rest_.empty()) {
            const char first = rest_.front();
            if (beyond_ascii(first))
                stray_ = true;
            else if (first == '#')
                copy(rest_.find('\n'));
            else if (first != '"' && first != '\'')
                copy(1);
            else if (quotes(first) >= 3)
                string_of_lines(first);
            else
                string_of_a_line(first);
        }
        const auto line = 1 + std::ranges::count(copied_, '\n');
        return {.text = std::move(copied_), .stray_line = stray_ ? static_cast<std::size_t>(line) : 0};
    }

private:
    void copy(std::size_t count) {
        copied_ += rest_.substr(0, count);
        rest_.remove_prefix(std::min(count, rest_.size()));
    }

    std::size_t quotes(char quote) const { return std::min(rest_.find_first_not_of(quote), rest_.size()); }

    /// Ends with its line if nothing else ends it: that is a fault, which the parser finds there.
    void string_of_a_line(char quote) {
        for (copy(1); !rest_.empty() && rest_.front() != '\n';) {
            const char first = rest_.front();
            copy(first == '\\' && quote == '"' && !rest_.substr(1).starts_with('\n') ? 2 : 1);
            if (first == quote) return;
        }
    }

    /// Up to two quotes more than the three that end it belong to it.
    void string_of_lines(char quote) {
        for (copy(3); !stray_ && !rest_.empty();) {
            const char first = rest_.front();
            if (first == quote) {
                const auto count = std::min<std::size_t>(quotes(quote), 5);
                copy(count);
                if (count >= 3) return;
            } else if (first == '\\' && quote == '"') {
                copy(1);
                stray_ = !rest_.empty() && beyond_ascii(rest_.front());
                if (!stray_) copy(1);
            } else if (beyond_ascii(first) && quote == '"') {
                copy_escaped();  // it may be what ends the blanks that a backslash before the end of a line has begun
            } else {
                copy(1);
            }
        }
    }

    void copy_escaped() {
        const auto size = tracker::utf8_length(rest_);
        if (size == 0) return copy(1);  // the parser minds it
        auto value = static_cast<unsigned char>(rest_.front()) & (0x7fU >> size);
        for (const char byte : rest_.substr(1, size - 1))
            value = value << 6U | (static_cast<unsigned char>(byte) & 0x3fU);
        fmt::format_to(std::back_inserter(copied_), "\\U{:08X}", value);
        rest_.remove_prefix(size);
    }

    std::string_view rest_;
    std::string copied_;
    bool stray_ = false;
};

}  // namespace

toml_text for_parser(std::string_view text) { return copier(text).result(); }

}  // namespace configs
