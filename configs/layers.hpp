#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "configs/settings.hpp"

namespace configs {

/// The environment as a value, so that a test can make one and a reload sees what the start saw.
using environment = std::map<std::string, std::string, std::less<>>;

/// A copy of `environ`(7).
environment environment_of(const char* const* variables);

/// A value that was given for a setting, not yet checked.
struct assignment {
    const setting* to;
    std::string text;
    std::string place;     ///< `configs/service.toml:12`, `SERVICE_APP_PORT`, `--app.port`
    bool readable = true;  ///< false: `text` says what stood there instead, such as "a table"
};

/// What one place contains, in its order. A fault is one line that names key, place and what is allowed; the start
/// stops with it. A warning does not.
struct layer {
    std::vector<assignment> values;
    std::vector<std::string> faults;
    std::vector<std::string> warnings;
};

/// The TOML file at `path`; one that cannot be read or parsed gives a fault.
layer read_file(const std::string& path);

/// "toml++ 3.3.0": what reads it. Any thread.
std::string file_parser();

/// The variables with our prefix. An unknown one is a warning: Kubernetes injects such. So is one that it has injected
/// under the name of a setting, and an empty one is as if it were not set where empty is no value of its setting.
layer read_environment(const environment& variables);

/// The row of the table with that key; nullptr when there is none.
const setting* find_setting(std::string_view key);

/// `app.port = "x" (SERVICE_APP_PORT): allowed is …`; the value masked as far as it is a secret.
std::string fault_of(const assignment& wrong);

}  // namespace configs
