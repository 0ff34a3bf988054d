#include "configs/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <utility>

#include "configs/program.hpp"
#include "configs/values.hpp"
#include "lifecycle/masked_urls.hpp"

namespace configs {
namespace {

using action = command::action;

std::string footer() {
    return fmt::format(
        "Each setting can also be given in the file, as a key of that name, and in the environment, as "
        "{}APP_PORT\n"
        "for --app.port. The later wins: built-in, file, environment, flag.\n"
        "SIGHUP and POST /debug/config/reload apply what is reloadable; the rest needs a restart.\n"
        "Durations are 250ms, 5s, 2m, 1h; sizes 512B, 16KiB, 1MiB.",
        this_program().variables);
}

/// The options that are there, and what has been said with them.
class parser {
public:
    parser() {
        app_.set_help_flag();  // ours does not end the parsing
        app_.allow_extras();   // so that all are found, not the first
        app_.get_formatter()->column_width(38);
        app_.footer(footer());
        flag(action::help, "-h,--help", "print this and exit");
        flag(action::version, "--version", "print version and revision and exit");
        flag(action::check, "--check-config", "check all settings, print each with its place, and exit");
        option(action::probe, "--probe", "livez|readyz", "ask the running service: exit with 0 for yes, 1 for no");
        option(action::spool_dump, "--spool-dump", "DIR", "print the events in a spool and exit");
        const std::string about_file = "TOML file with settings";
        file_ = app_.add_option("--config", about_file)->type_name("FILE");
        for (const auto& setting : settings()) add(setting);
        for (auto* every : app_.get_options()) every->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }

    command read(const std::vector<std::string>& arguments) {
        parse(arguments);
        const auto shown = shown_arguments(arguments);
        for (std::size_t nth = 0; nth < arguments.size(); ++nth)
            if (shown[nth] != arguments[nth]) masked_[arguments[nth]] = shown[nth];
        for (const auto& [to, from] : settings_)
            for (const auto& text : from->results()) value(*to, text);
        if (file_->count() > 0) result_.file = file_->results().back();
        for (const auto& text : app_.remaining()) unknown(text);
        choose_action();
        result_.text = app_.help();
        return std::move(result_);
    }

private:
    void flag(action what, const std::string& name, const std::string& help) {
        actions_.emplace_back(what, app_.add_flag(name, help));
    }

    void option(action what, const std::string& name, const std::string& type, const std::string& help) {
        actions_.emplace_back(what, app_.add_option(name, help)->type_name(type));
    }

    void add(const setting& setting) {
        const auto standard = setting.default_text();
        const auto shown = standard.empty() ? "empty" : standard;
        const std::string help = fmt::format("{} {} [{}]", setting.help, setting.remark(), shown);
        settings_.emplace_back(&setting, app_.add_option(setting.flag(), help)->group("Settings"));
    }

    void parse(const std::vector<std::string>& arguments) {
        std::vector<std::string> reversed;  // as CLI11 wants them
        for (const auto& argument : arguments) {
            // CLI11 takes the next argument for the value of `--name=`.
            const auto name = argument.substr(0, argument.size() - (argument.ends_with('=') ? 1 : 0));
            const bool empty_value = name != argument && app_.get_option_no_throw(name) != nullptr;
            reversed.push_back(empty_value ? name : argument);
            if (empty_value) reversed.emplace_back();
        }
        std::ranges::reverse(reversed);
        try {
            app_.parse(reversed);
        } catch (const CLI::ParseError& error) {
            fault(error.what());  // such as a last option without its value
        }
    }

    void value(const setting& to, const std::string& text) {
        assignment given{.to = &to, .text = text, .place = to.flag()};
        if (text.starts_with("--")) {  // the next option, taken for a value that was forgotten
            given.text = fmt::format("no value but {}", in_quotes(text));
            given.readable = false;
        }
        result_.flags.values.push_back(std::move(given));
    }

    void unknown(const std::string& text) {
        const auto name = text.substr(0, text.find('='));
        const auto masked = masked_.find(text);
        const auto& word = masked == masked_.end() ? text : masked->second;
        if (!name.starts_with('-')) return fault(fmt::format("{}: no such argument", in_quotes(word)));
        std::vector<std::string> names;
        for (const auto* every : app_.get_options()) names.push_back(every->get_name());
        fault(fmt::format("{}: no such flag; the nearest is {}", shown(name), nearest(name, names)));
    }

    void choose_action() {
        for (const auto& [what, from] : actions_) {
            if (from->count() == 0) continue;
            if (result_.what == action::help || result_.what == action::version) return;
            if (result_.what != action::run) fault(fmt::format("{}: only one such flag at a time", from->get_name()));
            result_.what = what;
            result_.argument = from->results().back();
        }
        if (result_.what == action::probe && result_.argument != "livez" && result_.argument != "readyz")
            fault(fmt::format("--probe {}: allowed is livez or readyz", in_quotes(result_.argument)));
    }

    void fault(std::string message) { result_.flags.faults.push_back(std::move(message)); }

    CLI::App app_{"An HTTP service. Everything has ended by the deadline, and nothing accepted is lost.",
                  this_program().name};
    CLI::Option* file_ = nullptr;
    std::vector<std::pair<action, CLI::Option*>> actions_;
    std::vector<std::pair<const setting*, CLI::Option*>> settings_;
    std::map<std::string, std::string> masked_;  ///< of the arguments, those that are not shown as they are
    command result_;
};

}  // namespace

std::string_view command_line_parser() noexcept { return "CLI11 " CLI11_VERSION; }

std::vector<std::string> shown_arguments(std::vector<std::string> arguments) {
    constexpr std::string_view dashes = "--";
    const setting* of = nullptr;  // whose value a word belongs to
    for (auto& argument : arguments) {
        const auto equals = std::min(argument.find('='), argument.size());
        const bool flag = argument.starts_with(dashes);
        if (flag) of = find_setting(std::string_view(argument).substr(dashes.size(), equals - dashes.size()));
        const auto value = flag ? std::min(equals + 1, argument.size()) : 0;
        const auto text = argument.substr(value);
        argument.replace(value, text.size(), of != nullptr ? of->masked(text) : lifecycle::masked_urls(text));
    }
    return arguments;
}

command read_command_line(const std::vector<std::string>& arguments) { return parser().read(arguments); }

}  // namespace configs
