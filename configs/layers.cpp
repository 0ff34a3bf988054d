#include "configs/layers.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "configs/program.hpp"
#include "configs/values.hpp"
#include "lifecycle/masked_urls.hpp"

namespace configs {
namespace {

bool takes(const setting& to, std::string_view text) {
    config trial;
    return to.set(trial, text);
}

/// `docker run -e NAME=` and `${NAME:-}` in a compose file make a variable empty where nobody has said anything.
bool says_nothing(const setting& to, std::string_view text) { return text.empty() && !takes(to, text); }

/// For the Service `service-app` Kubernetes gives each container of its namespace
/// `SERVICE_APP_PORT=tcp://10.0.0.7:8080` (enableServiceLinks), which is no port that anybody has asked for.
bool comes_from_kubernetes(const setting& to, std::string_view text) {
    const auto begins = [text](std::string_view scheme) { return text.starts_with(scheme); };
    return to.key.ends_with("port") && (begins("tcp://") || begins("udp://") || begins("sctp://")) && !takes(to, text);
}

}  // namespace

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
        const auto found = known.find(name);
        if (found == known.end()) {
            const auto closest = nearest(name, names);
            result.warnings.push_back(fmt::format("{}: no such setting, ignored; the nearest is {} ({})", shown(name),
                                                  closest, known.at(closest)->key));
        } else if (comes_from_kubernetes(*found->second, text)) {
            result.warnings.push_back(fmt::format("{} = {}: what Kubernetes says of a Service, ignored; {} is {}", name,
                                                  in_quotes(text), found->second->key, found->second->allowed));
        } else if (!says_nothing(*found->second, text)) {
            result.values.push_back({.to = found->second, .text = text, .place = name});
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
    const auto text = wrong.readable ? wrong.to->masked(wrong.text) : wrong.text;
    std::string value = wrong.readable ? in_quotes(std::string_view(text).substr(0, longest)) : text;
    if (text.size() > longest) value += "...";
    if (wrong.to->secret) value = lifecycle::mask;
    return fmt::format("{} = {} ({}): allowed is {}", wrong.to->key, value, wrong.place, wrong.to->allowed);
}

}  // namespace configs
