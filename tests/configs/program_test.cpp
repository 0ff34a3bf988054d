// A program with a name and settings of its own.

#include "configs/program.hpp"

#include <gmock/gmock.h>

#include <chrono>
#include <stdexcept>
#include <string>

#include "configs/kinds.hpp"
#include "configs/load.hpp"

namespace {

using namespace std::chrono_literals;
using configs::own;
using configs::program;
using testing::HasSubstr;

struct greetings {
    std::string word = "Hello";
    std::chrono::milliseconds patience{500};
};

program greeter() {
    using namespace configs::kinds;
    return {.name = "greeter",
            .variables = "GREETER_",
            .rows = {
                text("greeting.word", "what it begins with", "a text", OWN_LIVE(greetings, word), configs::is_text),
                duration("greeting.patience", "for people who know", OWN(greetings, patience), 1ms, 10s),
            }};
}

TEST(Program, ItsRowsStandBehindThoseThatEveryProgramHas) {
    const auto table = configs::table_of(greeter());
    const auto usual = configs::table_of({});
    ASSERT_EQ(table.size(), usual.size() + 2);
    EXPECT_EQ(table.front().key, usual.front().key);
    EXPECT_EQ(table[usual.size()].key, "greeting.word");
    EXPECT_EQ(table.back().key, "greeting.patience");
}

TEST(Program, ARowOfItsOwnHasADefaultARangeAndAValueInTheConfig) {
    const auto rows = greeter().rows;
    configs::config config;
    EXPECT_EQ(rows[0].default_text(), "Hello");
    EXPECT_EQ(rows[1].get(config), "500ms");
    EXPECT_TRUE(rows[1].set(config, "2s"));
    EXPECT_FALSE(rows[1].set(config, "1h"));
    EXPECT_EQ(own<greetings>(config).patience, 2s);
    EXPECT_EQ(own<greetings>(config).word, "Hello");
    EXPECT_TRUE(rows[0].reloadable);
    EXPECT_FALSE(rows[1].reloadable);
}

TEST(Program, ACopyOfAConfigHasItsOwnSettingsAndKeepsThem) {
    configs::config first;
    own<greetings>(first).word = "Salut";
    const auto second = first;
    own<greetings>(first).word = "Servus";
    EXPECT_EQ(own<greetings>(second).word, "Salut");
}

TEST(Program, AConfigThatNobodyHasSetAnythingInHasTheDefaults) {
    const configs::config untouched;
    EXPECT_EQ(own<greetings>(untouched).word, "Hello");
    EXPECT_FALSE(untouched.own.has_value());
}

TEST(Program, AKeyThatIsThereAlreadyIsRefused) {
    auto twice = greeter();
    twice.rows.push_back(twice.rows.front());
    EXPECT_THROW(configs::table_of(twice), std::logic_error);
    auto same = greeter();
    same.rows[0].key = "app.port";
    try {
        configs::table_of(same);
        FAIL() << "app.port is there twice";
    } catch (const std::logic_error& refused) {
        EXPECT_THAT(refused.what(), HasSubstr("app.port"));
    }
}

TEST(Program, IsDescribedBeforeASettingIsLookedAt) {
    ASSERT_FALSE(configs::settings().empty());
    EXPECT_THROW(configs::describe(greeter()), std::logic_error);
    EXPECT_NE(configs::this_program().name, "greeter");
}

}  // namespace
