#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "configs/command_line.hpp"
#include "configs/config.hpp"
#include "configs/layers.hpp"

namespace configs {

using places = std::map<std::string, std::string, std::less<>>;

/// The effective settings and where each comes from: a setting that is read from a file has the place of KEY_file and
/// the file, `configs/service.toml:12: /run/secrets/token`. With faults, `values` must not be used.
struct loaded {
    config values;
    places origin;  ///< by key: `built-in`, `configs/service.toml:12`, `SERVICE_APP_PORT`, `--app.port`
    std::vector<std::string> faults;    ///< all of them, one line each, names key, place and what is allowed
    std::vector<std::string> warnings;  ///< one line each
    bool file_names_a_key = false;
};

/// A setting as faults show it: `tracker.sink = ["file"] (--tracker.sink)`. Of a key in the table.
std::string shown(const loaded& settings, std::string_view key);
/// It has its default value, which no place has changed.
bool is_default(const loaded& settings, std::string_view key);

/// Lays default < file < environment < flag over each other and checks every value, also one that a
/// later place overrides, and then what must fit together. Start and reload call the same function. Of KEY and KEY_file
/// the later place wins too, and only a file that is in force is read, unless the command is only to print or to ask.
/// Reads the files (blocks); prints nothing, never throws for what a user wrote. Safe from any thread.
loaded load(const command& line, const environment& variables);

/// For a reload: the same, of files at rest, those of secrets too. A file that changes while it is read is read again,
/// several times. An editor that writes into the file truncates it first, so a file that names no key is a fault here,
/// and so is one that still changes.
loaded load_again(const command& line, const environment& variables);

/// An effective setting as it may be shown: a secret that is set is `***`.
struct row {
    std::string key;
    std::string value;
    std::string place;
};

/// In the order of the table.
std::vector<row> rows(const loaded& from, std::span<const setting> table = settings());

/// What --check-config prints: TOML with each value's place as a comment after it.
std::string to_toml(const loaded& from, std::span<const setting> table = settings());

/// A setting that differs between two configs, as it may be shown.
struct change {
    std::string key;
    std::string before;
    std::string after;
};

/// What is in force after a reload: of `fresh`, which has no faults, what is reloadable; the rest as in `now`.
/// The two must fit together too: if they do not that is a fault, and `now` stays.
loaded reloaded(const loaded& now, const loaded& fresh, const environment& variables);

std::vector<change> changes(const config& before, const config& after);

/// What must fit together; one line for each fault. Looks at nothing that a key in `wrong` has part in.
std::vector<std::string> cross_faults(const config& values, const places& origin, const environment& variables,
                                      const std::set<std::string>& wrong);
/// What is allowed but probably not intended: a line each.
std::vector<std::string> cross_warnings(const config& values, const places& origin, const environment& variables);

}  // namespace configs
