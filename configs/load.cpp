#include "configs/load.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <thread>

#include "configs/secret_file.hpp"
#include "configs/values.hpp"
#include "lifecycle/masked_urls.hpp"

namespace configs {
namespace {

/// What a layer gives for a setting, the last time that it does.
const assignment* given_for(const layer& in, std::string_view key) {
    const auto found = std::ranges::find(in.values.rbegin(), in.values.rend(), key,
                                         [](const assignment& given) -> const std::string& { return given.to->key; });
    return found == in.values.rend() ? nullptr : &*found;
}

/// The default, as service.toml has it, and what --check-config prints of a secret are in a file beside KEY_file.
bool asks_for_nothing(const assignment& given) {
    return given.text == given.to->default_text() || given.text.find(lifecycle::mask) != std::string::npos;
}

/// Of KEY and KEY_file the later place wins, as everywhere; in one place there is only one of them.
void choose_files(const layer& over, loaded& to) {
    for (const auto& row : settings()) {
        const auto* const given = row.has_file() ? given_for(over, row.key) : nullptr;
        if (given == nullptr) continue;
        const auto key = file_key(row.key);
        const auto* const file = given_for(over, key);
        if (file == nullptr && to.values.secret_files.erase(row.key) > 0) to.origin[key] = given->place;
        if (file == nullptr || file->text.empty() || asks_for_nothing(*given)) continue;
        to.faults.push_back(fmt::format("{} = {} ({}) and {} ({}) are the same setting: allowed is one of the two", key,
                                        in_quotes(file->text), file->place, row.key, given->place));
    }
}

/// Lays one place over what is there. What is not allowed leaves the value of the place before.
void lay(const layer& over, loaded& to, std::set<std::string>& wrong) {
    to.faults.insert(to.faults.end(), over.faults.begin(), over.faults.end());
    to.warnings.insert(to.warnings.end(), over.warnings.begin(), over.warnings.end());
    for (const auto& given : over.values) {
        const std::string key(given.to->key);
        if (given.readable && given.to->set(to.values, given.text)) {
            to.origin[key] = given.place;
        } else {
            to.faults.push_back(fault_of(given));
            wrong.insert(key);
        }
    }
    choose_files(over, to);
}

/// Those that are in force: of a file that a later place overrides nothing is asked.
void read_files(loaded& to, std::set<std::string>& wrong) {
    for (const auto& [key, path] : to.values.secret_files) {
        const auto& row = *find_setting(key);
        const auto& named = *find_setting(file_key(key));
        const auto& place = to.origin.find(named.key)->second;
        const auto read = read_secret_file(path);
        const assignment given{.to = &row, .text = read.text, .place = fmt::format("{}: {}", place, path)};
        if (read.fault.empty() && row.set(to.values, read.text)) {
            to.origin[key] = given.place;
            if (read.is_open)
                to.warnings.push_back(
                    fmt::format("{} = {} ({}): everybody may read this file", named.key, in_quotes(path), place));
            continue;
        }
        wrong.insert(key);
        to.faults.push_back(read.fault.empty() ? fault_of(given)
                                               : fmt::format("{} = {} ({}): it {}: allowed is {}", named.key,
                                                             in_quotes(path), place, read.fault, named.allowed));
    }
}

constexpr std::chrono::milliseconds quiet{20};  // since its last change: then it is not being written
constexpr int most_looks = 10;                  // 200 ms, which a stop has patience for

/// When a file was last changed, and how large it is. What cannot be told is the same each time.
struct change_of_file {
    explicit change_of_file(const std::string& path) {
        struct stat found {};
        if (::stat(path.c_str(), &found) != 0) return;
        time = std::chrono::seconds(found.st_mtim.tv_sec) + std::chrono::nanoseconds(found.st_mtim.tv_nsec);
        size = found.st_size;
    }
    bool operator==(const change_of_file&) const = default;

    /// Not of a clock that is ahead of ours.
    bool is_recent() const {
        const auto ago = std::chrono::system_clock::now().time_since_epoch() - time;
        return ago >= std::chrono::nanoseconds(0) && ago < quiet;
    }

    std::chrono::nanoseconds time{0};
    off_t size = 0;
};

/// That of --config, and those that secrets are read from.
std::vector<std::string> files_of(const command& line, const config& values) {
    std::vector<std::string> all;
    if (line.file) all.push_back(*line.file);
    for (const auto& [key, path] : values.secret_files) all.push_back(path);
    return all;
}

std::vector<change_of_file> changes_of(const std::vector<std::string>& paths) { return {paths.begin(), paths.end()}; }

}  // namespace

loaded load_again(const command& line, const environment& variables) {
    auto watched = files_of(line, {});
    for (int look = 0; look < most_looks; ++look) {
        const auto before = changes_of(watched);
        if (std::ranges::any_of(before, &change_of_file::is_recent)) {
            std::this_thread::sleep_for(quiet);
            continue;
        }
        auto result = load(line, variables);
        const auto now_watched = files_of(line, result.values);
        const bool at_rest = now_watched == watched && changes_of(watched) == before;
        watched = now_watched;
        if (!at_rest) continue;
        if (line.file && result.faults.empty() && !result.file_names_a_key)
            result.faults.push_back(
                fmt::format("{}: names no key, as a file that is being written", shown(*line.file)));
        return result;
    }
    auto unfinished = load(line, variables);
    const auto changed = [](const std::string& path) { return change_of_file(path).time; };
    const auto last = std::ranges::max_element(watched, {}, changed);
    unfinished.faults.push_back(
        fmt::format("{}: is being written all the time", last == watched.end() ? "a file" : shown(*last)));
    return unfinished;
}

std::string shown(const loaded& settings, std::string_view key) {
    const auto* const row = find_setting(key);
    assert(row != nullptr && "a key of the table");
    return fmt::format("{} = {} ({})", key, row->toml(settings.values), settings.origin.find(key)->second);
}

bool is_default(const loaded& settings, std::string_view key) {
    const auto* const row = find_setting(key);
    assert(row != nullptr && "a key of the table");
    return row->get(settings.values) == row->default_text();
}

loaded load(const command& line, const environment& variables) {
    loaded result;
    std::set<std::string> wrong;
    for (const auto& setting : settings()) result.origin.emplace(setting.key, "built-in");
    if (line.file) {
        const auto file = read_file(*line.file);
        result.file_names_a_key = !file.values.empty();
        lay(file, result, wrong);
    }
    lay(read_environment(variables), result, wrong);
    lay(line.flags, result, wrong);
    // A probe asks the debug port of a service that has read its secrets, and may be run by another user.
    if (line.what == command::action::run || line.what == command::action::check) read_files(result, wrong);
    result.values.app.access_log = result.values.log.access;
    for (auto& fault : cross_faults(result.values, result.origin, variables, wrong))
        result.faults.push_back(std::move(fault));
    for (auto& warning : cross_warnings(result.values, result.origin, variables))
        result.warnings.push_back(std::move(warning));
    return result;
}

loaded reloaded(const loaded& now, const loaded& fresh, const environment& variables) {
    auto result = now;
    for (const auto& setting : settings()) {
        if (setting.reloadable) setting.set(result.values, setting.get(fresh.values));
        const std::string key(setting.key);
        if (setting.get(result.values) == setting.get(fresh.values)) result.origin[key] = fresh.origin.at(key);
    }
    result.values.app.access_log = result.values.log.access;
    result.warnings = fresh.warnings;
    result.faults = cross_faults(result.values, result.origin, variables, {});
    return result;
}

std::vector<row> rows(const loaded& from, std::span<const setting> table) {
    std::vector<row> all;
    for (const auto& row : table)
        all.push_back(
            {.key = std::string(row.key), .value = row.shown(from.values), .place = from.origin.find(row.key)->second});
    return all;
}

std::string to_toml(const loaded& from, std::span<const setting> table) {
    std::string text;
    for (const auto& row : table)
        text += fmt::format("{} = {}  # {}\n", row.key, row.toml(from.values), from.origin.find(row.key)->second);
    return text;
}

std::vector<change> changes(const config& before, const config& after) {
    std::vector<change> all;
    for (const auto& setting : settings())
        if (setting.get(before) != setting.get(after))
            all.push_back(
                {.key = std::string(setting.key), .before = setting.shown(before), .after = setting.shown(after)});
    return all;
}

}  // namespace configs
