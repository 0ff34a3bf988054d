// A setting. The marked regions are the code blocks of docs/make-it-yours.md.

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <type_traits>
#include <vector>

#include "configs/config.hpp"
#include "configs/kinds.hpp"
#include "configs/program.hpp"

namespace make_it_yours {
namespace {

using namespace std::chrono_literals;

// [options]
struct greeting_options {
    std::string word = "Hello";
    std::chrono::milliseconds patience{500};  ///< for people who know the names
};
// [/options]

/// As if `greeting` were a member of configs::config.
struct config : configs::config {
    greeting_options greeting;
};

template <class From>
auto& own(From& all) {
    return static_cast<std::conditional_t<std::is_const_v<From>, const config&, config&>>(all);
}

// As in configs/settings.cpp, but for that.
#define FIELD(path) ([](auto& all) -> auto& { return own(all).path; })
#define LIVE(path) (live{FIELD(path)})

std::vector<configs::setting> table() {
    using namespace configs;
    using namespace configs::kinds;
    return {
        // [rows]
        text("greeting.word", "what a greeting begins with", "a text", FIELD(greeting.word), is_text),
        duration("greeting.patience", "for people who know the names", LIVE(greeting.patience), 1ms, 10s),
        // [/rows]
    };
}

#undef LIVE
#undef FIELD

TEST(MakeItYours, ASettingIsARowWithItsFlagItsVariableAndItsRange) {
    const auto rows = table();
    const auto& word = rows.at(0);
    const auto& patience = rows.at(1);
    config mine;
    EXPECT_EQ(word.get(mine), "Hello");
    EXPECT_TRUE(word.set(mine, "Salut"));
    EXPECT_EQ(mine.greeting.word, "Salut");
    EXPECT_EQ(word.flag(), "--greeting.word");
    EXPECT_EQ(word.variable(), configs::this_program().variables + "GREETING_WORD");
    EXPECT_FALSE(patience.set(mine, "11s"));
    EXPECT_FALSE(patience.set(mine, "soon"));
    EXPECT_EQ(mine.greeting.patience, 500ms);
    EXPECT_EQ(patience.remark(), "(a duration from 1ms to 10s; reloadable)");
    EXPECT_EQ(patience.toml(mine), "\"500ms\"");
}

}  // namespace
}  // namespace make_it_yours
