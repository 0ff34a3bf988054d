#include "configs/load.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cassert>
#include <chrono>
#include <thread>

#include "configs/values.hpp"

namespace configs {
namespace {

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

}  // namespace

loaded load_again(const command& line, const environment& variables) {
    if (!line.file) return load(line, variables);
    for (int look = 0; look < most_looks; ++look) {
        const change_of_file before(*line.file);
        if (before.is_recent()) {
            std::this_thread::sleep_for(quiet);
            continue;
        }
        auto result = load(line, variables);
        if (change_of_file(*line.file) != before) continue;
        if (result.faults.empty() && !result.file_names_a_key)
            result.faults.push_back(
                fmt::format("{}: names no key, as a file that is being written", shown(*line.file)));
        return result;
    }
    auto unfinished = load(line, variables);
    unfinished.faults.push_back(fmt::format("{}: is being written all the time", shown(*line.file)));
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
