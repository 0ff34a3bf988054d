#pragma once

#include <any>
#include <string>
#include <vector>

#include "configs/config.hpp"
#include "configs/settings.hpp"

namespace configs {

/// Whose settings these are. A program that has a name of its own, or settings of its own, passes this before anything
/// is read: `run_process` in cmd/service/process.hpp.
struct program {
    std::string name = "service";        ///< as --help, --version and the log say it
    std::string variables = "SERVICE_";  ///< what its environment variables begin with
    std::vector<setting> rows = {};      ///< its own, after those that every program has
};

/// Once, at the beginning of main, before any setting is looked at. Throws std::logic_error when it comes later, or a
/// key of its rows is there already.
void describe(program it);
/// What `describe` was given; the default without it. Safe from any thread.
const program& this_program();

/// What every program has and after it the rows of this one; throws as `describe` does.
std::vector<setting> table_of(const program& it);

/// The settings of the program's own, of a type that it chooses: default-made until a row has set something. One type
/// a program. Copied with the config, so a snapshot has them too.
///
///     struct own_settings { std::string word = "Hello"; };
///     text("greeting.word", "what a greeting begins with", "a text", OWN(own_settings, word), is_text)
///     configs::own<own_settings>(settings.now()->values).word
template <class Own>
const Own& own(const config& from) {
    static const Own defaults;
    const auto* const set = std::any_cast<Own>(&from.own);
    return set == nullptr ? defaults : *set;
}
template <class Own>
Own& own(config& to) {
    auto* set = std::any_cast<Own>(&to.own);
    return set == nullptr ? to.own.emplace<Own>() : *set;
}

}  // namespace configs

// A field of them, for a row (configs/kinds.hpp); the second one's is changed by a reload.
#define OWN(type, field) ([](auto& all) -> auto& { return configs::own<type>(all).field; })
#define OWN_LIVE(type, field) (configs::kinds::live{OWN(type, field)})
