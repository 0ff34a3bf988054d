#include "configs/layers.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "configs/program.hpp"
#include "configs/values.hpp"

namespace configs {

environment environment_of(const char* const* variables) {
    environment result;
    for (; *variables != nullptr; ++variables) {
        const std::string_view text(*variables);
        const auto equals = text.find('=');
        if (equals != std::string_view::npos) result.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return result;
}

layer read_environment(const environment& variables) {
    std::map<std::string, const setting*> known;
    std::vector<std::string> names;
    for (const auto& setting : settings()) {
        known.emplace(setting.variable(), &setting);
        names.push_back(setting.variable());
    }
    layer result;
    for (const auto& [name, text] : variables) {
        if (!name.starts_with(this_program().variables)) continue;
        if (const auto found = known.find(name); found != known.end()) {
            result.values.push_back({.to = found->second, .text = text, .place = name});
        } else {
            const auto closest = nearest(name, names);
            result.warnings.push_back(fmt::format("{}: no such setting, ignored; the nearest is {} ({})", shown(name),
                                                  closest, known.at(closest)->key));
        }
    }
    return result;
}

const setting* find_setting(std::string_view key) {
    const auto found = std::ranges::find(settings(), key, &setting::key);
    return found == settings().end() ? nullptr : &*found;
}

std::string fault_of(const assignment& wrong) {
    constexpr std::size_t longest = 100;  // a fault is one line
    const std::string_view text(wrong.text);
    std::string value = wrong.readable ? in_quotes(text.substr(0, longest)) : wrong.text;
    if (text.size() > longest) value += "...";
    if (wrong.to->secret) value = "***";
    return fmt::format("{} = {} ({}): allowed is {}", wrong.to->key, value, wrong.place, wrong.to->allowed);
}

}  // namespace configs
