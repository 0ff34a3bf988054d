#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <system_error>

#include "configs/layers.hpp"
#include "configs/toml.hpp"
#include "configs/toml_text.hpp"
#include "configs/values.hpp"

namespace configs {
namespace {

constexpr std::size_t largest_file = 1 << 20;

/// The whole file; throws std::system_error with the reason. May be a pipe, so its size is not asked.
std::string contents_of(const std::string& path) {
    const auto fail = [](int error) { throw std::system_error(error, std::generic_category()); };
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
    if (!file) fail(errno);
    std::string text;
    std::array<char, 4096> block;
    for (auto got = block.size(); got == block.size();) {
        got = std::fread(block.data(), 1, block.size(), file.get());
        text.append(block.data(), got);
        if (text.size() > largest_file) fail(EFBIG);
    }
    if (std::ferror(file.get()) != 0) fail(errno);  // a directory opens, but cannot be read
    return text;
}

/// Walks through a parsed file and sorts what it finds into a layer.
class reader {
public:
    explicit reader(std::string path) : path_(std::move(path)) {}

    void visit(const toml::table& table, const std::string& prefix) {
        for (const auto& [name, node] : table) {
            const auto key = prefix + std::string(name.str());
            const bool dotted = name.str().find('.') != std::string_view::npos;  // "app.port" is not app.port
            const auto* to = dotted ? nullptr : find_setting(key);
            const auto* section = dotted || !is_section(key) ? nullptr : node.as_table();
            if (to != nullptr) assign(*to, node);
            if (section != nullptr) visit(*section, key + '.');
            if (to == nullptr && section == nullptr) unknown(key, name);
        }
    }

    layer result() {
        layer all;
        for (auto& [line, value] : values_) all.values.push_back(std::move(value));
        for (auto& [line, fault] : faults_) all.faults.push_back(std::move(fault));
        return all;
    }

private:
    static bool is_section(const std::string& key) {
        const auto inside = [&](const setting& setting) { return setting.key.starts_with(key + '.'); };
        return std::ranges::any_of(settings(), inside);
    }

    std::string place(toml::source_index line) const { return fmt::format("{}:{}", path_, line); }

    void assign(const setting& to, const toml::node& node) {
        const auto line = node.source().begin.line;
        const auto text = text_of(to.written, node);
        values_.emplace(
            line,
            assignment{
                .to = &to, .text = text.value_or(kind_of(node)), .place = place(line), .readable = text.has_value()});
    }

    void unknown(const std::string& key, const toml::key& name) {
        const auto line = name.source().begin.line;
        std::vector<std::string> keys;
        for (const auto& setting : settings()) keys.emplace_back(setting.key);
        faults_.emplace(
            line, fmt::format("{} ({}): no such key; the nearest is {}", shown(key), place(line), nearest(key, keys)));
    }

    /// What the value would be on a command line, or nothing when its type does not fit.
    static std::optional<std::string> text_of(setting::form written, const toml::node& node) {
        using form = setting::form;
        if (const auto text = node.value_exact<std::string>()) return text;
        const auto number = node.value_exact<std::int64_t>();
        if (number && (written == form::bare || written == form::measure)) return fmt::format("{}", *number);
        const auto truth = node.value_exact<bool>();
        if (truth && written == form::bare) return *truth ? "true" : "false";
        const auto* array = node.as_array();
        if (array == nullptr || written != form::list) return std::nullopt;
        std::vector<std::string> items;
        for (const auto& item : *array) {
            const auto text = item.value_exact<std::string>();
            if (!text) return std::nullopt;
            items.push_back(*text);
        }
        return fmt::format("{}", fmt::join(items, ","));
    }

    static std::string kind_of(const toml::node& node) {
        switch (node.type()) {
            case toml::node_type::table: return "a table";
            case toml::node_type::array: return "an array";
            case toml::node_type::integer: return "an integer";
            case toml::node_type::floating_point: return "a float";
            case toml::node_type::boolean: return "a boolean";
            default: return "a date or time";
        }
    }

    // By line: toml++ sorts by name, but people who read the faults go through the file from the top.
    std::multimap<toml::source_index, assignment> values_;
    std::multimap<toml::source_index, std::string> faults_;
    std::string path_;
};

/// Whether the last assignment up to this line, from 1 on, is to a setting that may be secret. The parser's words about
/// a value without quotes have a piece of it.
bool assigns_a_secret(std::string_view text, std::size_t line) {
    bool secret = false;
    for (; line > 0 && !text.empty(); --line) {
        const auto one_line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(one_line.size() + 1, text.size()));
        const auto equals = one_line.find('=');
        if (equals == one_line.npos) continue;
        auto name = one_line.substr(0, equals);
        name = name.substr(0, name.find_last_not_of(" \t\"'") + 1);
        name.remove_prefix(name.find_last_of(" \t\"'.") + 1);  // after none: npos + 1 is 0
        secret = std::ranges::any_of(settings(), [name](const setting& row) {
            return row.has_file() && row.key.substr(row.key.rfind('.') + 1) == name;
        });
    }
    return secret;
}

layer read_text(const toml_text& given, const std::string& name) {
    const auto fault = [&](std::size_t line, std::string_view what) {
        layer result;
        result.faults.push_back(fmt::format("{}:{}: not TOML: {}", name, line, what));
        return result;
    };
    try {
        const auto table = toml::parse(given.text, name);
        if (given.stray_line == 0) {
            reader through(name);
            through.visit(table, "");
            return through.result();
        }
    } catch (const toml::parse_error& error) {
        // What it says of the line in which the text was cut is about the cut.
        const auto line = error.source().begin.line;
        if (given.stray_line == 0 || line < given.stray_line)
            return fault(line, assigns_a_secret(given.text, line) ? "the value of a secret is not a string in quotes"
                                                                  : shown(error.description()));
    }
    return fault(given.stray_line, "a letter beyond ASCII stands outside of quotes");
}

}  // namespace

std::string file_parser() { return fmt::format("toml++ {}.{}.{}", TOML_LIB_MAJOR, TOML_LIB_MINOR, TOML_LIB_PATCH); }

layer read_file(const std::string& path) {
    // Places go into TOML comments, and messages are one line: no other file name is worth more trouble.
    const auto name = shown(path);
    layer result;
    try {
        result = read_text(for_parser(contents_of(path)), name);
    } catch (const std::logic_error&) {
        result.faults.push_back(fmt::format("{}: not TOML", name));
    } catch (const std::system_error& error) {
        result.faults.push_back(fmt::format("--config {}: cannot be read: {}", name, error.code().message()));
    }
    return result;
}

}  // namespace configs
