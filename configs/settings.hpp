#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "configs/config.hpp"

namespace configs {

/// One row of the table. Flag, variable, TOML key, help, check and place of origin follow from it.
/// The default is not in it: that is what `get` says of a default-made config.
struct setting {
    /// How TOML writes it.
    enum class form : std::uint8_t {
        text,     ///< a string, only a string
        measure,  ///< a string with a unit, or an integer
        bare,     ///< an integer or a boolean, or either as a string
        list      ///< an array of strings, or a string with commas
    };

    std::string key;      ///< `app.port`; the part before the dot is the TOML table
    std::string help;     ///< what it is for, one line
    std::string allowed;  ///< completes "allowed is …"
    form written;
    std::function<bool(config&, std::string_view)> set;  ///< false, and nothing changed: not allowed
    std::function<std::string(const config&)> get;       ///< a text that `set` takes
    bool secret = false;                                 ///< never shown, not even in a fault
    bool url = false;         ///< one, or several with commas: users and queries are not shown
    bool reloadable = false;  ///< a reload applies it; the others need a restart

    std::string flag() const;      ///< `--app.port`
    std::string variable() const;  ///< `SERVICE_APP_PORT`
    std::string default_text() const { return get(config{}); }
    /// It can be read from a file, which a row of the table after it names: `tracker.http_url_file`.
    bool has_file() const noexcept { return secret || url; }

    /// "(true or false)", with a word more for one that is reloadable: what --help and service.toml say.
    std::string remark() const;
    /// The value as it may be shown: `***` for a secret that is set.
    std::string shown(const config& from) const { return masked(get(from)); }
    /// The same of a text that was given for it, whether or not that is allowed.
    std::string masked(std::string_view text) const;
    /// The same as TOML writes it.
    std::string toml(const config& from) const;
};

/// The table, in the order of service.toml, and after it the rows of the program's own (configs/program.hpp).
/// Immutable; safe from any thread.
const std::vector<setting>& settings();

}  // namespace configs
