#include "configs/command_line.hpp"

#include <gmock/gmock.h>

#include <utility>

namespace configs {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using action = command::action;

std::vector<std::pair<std::string, std::string>> values_of(const command& from) {
    std::vector<std::pair<std::string, std::string>> all;
    all.reserve(from.flags.values.size());
    for (const auto& value : from.flags.values) all.emplace_back(value.place, value.text);
    return all;
}

TEST(CommandLine, RunsWhenNothingIsSaid) {
    const auto line = read_command_line({});
    EXPECT_EQ(line.what, action::run);
    EXPECT_EQ(line.file, std::nullopt);
    EXPECT_THAT(line.flags.values, IsEmpty());
    EXPECT_THAT(line.flags.faults, IsEmpty());
}

TEST(CommandLine, EverySettingIsAFlag) {
    for (const auto& setting : settings()) {
        const auto line = read_command_line({setting.flag() + "=" + setting.default_text()});
        EXPECT_THAT(values_of(line), ElementsAre(Pair(setting.flag(), setting.default_text())));
        EXPECT_THAT(line.flags.faults, IsEmpty());
    }
}

TEST(CommandLine, TakesAValueBehindEqualsOrAsTheNextArgument) {
    EXPECT_THAT(values_of(read_command_line({"--app.port=1", "--debug.port", "2"})),
                ElementsAre(Pair("--app.port", "1"), Pair("--debug.port", "2")));
}

TEST(CommandLine, AnEmptyValueDoesNotTakeTheNextArgument) {
    const auto line = read_command_line({"--ready_file=", "--app.port=1"});
    EXPECT_THAT(values_of(line), ElementsAre(Pair("--ready_file", ""), Pair("--app.port", "1")));
    EXPECT_THAT(line.flags.faults, IsEmpty());
}

TEST(CommandLine, ValuesAreTakenAsTheyStand) {
    for (const auto* text : {"[a,b]", "a,b", "a=b", "{x}", "%", "\"q\"", "-1", "a b", "~"})
        EXPECT_THAT(values_of(read_command_line({std::string("--ready_file=") + text})),
                    ElementsAre(Pair("--ready_file", text)));
}

TEST(CommandLine, AFlagGivenTwiceIsCheckedTwice) {
    EXPECT_THAT(values_of(read_command_line({"--app.port=1", "--app.port=2"})),
                ElementsAre(Pair("--app.port", "1"), Pair("--app.port", "2")));
}

TEST(CommandLine, TheLaterFileWins) {
    EXPECT_EQ(read_command_line({"--config", "a.toml", "--config=b.toml"}).file, "b.toml");
}

TEST(CommandLine, NamesEachAction) {
    const std::vector<std::pair<std::vector<std::string>, action>> trials = {{{"--help"}, action::help},
                                                                             {{"-h"}, action::help},
                                                                             {{"--version"}, action::version},
                                                                             {{"--check-config"}, action::check},
                                                                             {{"--probe", "livez"}, action::probe},
                                                                             {{"--spool-dump=x"}, action::spool_dump}};
    for (const auto& [arguments, what] : trials) {
        const auto line = read_command_line(arguments);
        EXPECT_EQ(line.what, what) << arguments[0];
        EXPECT_THAT(line.flags.faults, IsEmpty());
    }
    EXPECT_EQ(read_command_line({"--probe=readyz"}).argument, "readyz");
    EXPECT_EQ(read_command_line({"--spool-dump", "var/events"}).argument, "var/events");
}

TEST(CommandLine, HelpAndVersionWinOverFaults) {
    EXPECT_EQ(read_command_line({"--nonsense", "--help"}).what, action::help);
    EXPECT_EQ(read_command_line({"--version", "--check-config"}).what, action::version);
}

TEST(CommandLine, TwoActionsAreAFault) {
    EXPECT_THAT(read_command_line({"--check-config", "--probe=livez"}).flags.faults, ElementsAre(HasSubstr("--probe")));
}

TEST(CommandLine, AProbeIsForLivezOrReadyz) {
    EXPECT_THAT(read_command_line({"--probe=healthz"}).flags.faults,
                ElementsAre(AllOf(HasSubstr("--probe"), HasSubstr("livez or readyz"))));
}

TEST(CommandLine, EveryUnknownFlagIsAFaultThatNamesTheNearest) {
    EXPECT_THAT(read_command_line({"--app.prot=80", "--check-confg", "extra"}).flags.faults,
                ElementsAre(AllOf(HasSubstr("--app.prot:"), HasSubstr("nearest is --app.port")),
                            AllOf(HasSubstr("--check-confg:"), HasSubstr("nearest is --check-config")),
                            HasSubstr("\"extra\"")));
}

TEST(CommandLine, NothingIsGuessedFromTheStartOfAName) {
    EXPECT_THAT(read_command_line({"--app=1", "--conf=x"}).flags.faults, SizeIs(2));
}

TEST(CommandLine, AForgottenValueIsAFault) {
    const auto last = read_command_line({"--app.threads=1", "--app.port"});
    EXPECT_THAT(last.flags.faults, ElementsAre(HasSubstr("--app.port")));
    EXPECT_THAT(values_of(last), ElementsAre(Pair("--app.threads", "1")));

    const auto before_another = read_command_line({"--ready_file", "--app.port=1"});
    ASSERT_THAT(before_another.flags.values, SizeIs(1));
    EXPECT_FALSE(before_another.flags.values[0].readable);
}

TEST(CommandLine, IsShownWithoutSecrets) {
    const auto shown = [](const std::vector<std::string>& all) { return shown_arguments(all); };
    EXPECT_THAT(shown({"build/service", "--app.port=1", "--tracker.http_authorization=Bearer a"}),
                ElementsAre("build/service", "--app.port=1", "--tracker.http_authorization=***"));
    EXPECT_THAT(shown({"--tracker.http_authorization", "Bearer a", "--app.port", "1"}),
                ElementsAre("--tracker.http_authorization", "***", "--app.port", "1"));
    EXPECT_THAT(shown({"--tracker.http_url=http://u:w@a/?q", "--tracker.http_url", "http://u:w@a/?q"}),
                ElementsAre("--tracker.http_url=http://***@a/?***", "--tracker.http_url", "http://***@a/?***"));
    EXPECT_THAT(shown({"--tracker.http_authorization_file=/run/token", "--no.such=http://u:w@a"}),
                ElementsAre("--tracker.http_authorization_file=/run/token", "--no.such=http://***@a"));
    EXPECT_THAT(shown({"", "-", "--", "--=", "--tracker.http_authorization", "--tracker.http_authorization="}),
                ElementsAre("", "-", "--", "--=", "--tracker.http_authorization", "--tracker.http_authorization="));
}

TEST(CommandLine, ASecretThatWasNotQuotedIsNotInTheFault) {
    for (const auto& arguments : {std::vector<std::string>{"--tracker.http_authorization=Bearer", "hunter2"},
                                  std::vector<std::string>{"--tracker.http_authorization", "Bearer", "hunter2"}})
        EXPECT_THAT(read_command_line(arguments).flags.faults, ElementsAre("\"***\": no such argument"));
}

TEST(CommandLine, FaultsAreOneLine) {
    const auto line = read_command_line({"--a\nb", "c\nd", "--probe=e\nf", "-\xFF"});
    EXPECT_THAT(line.flags.faults, AllOf(SizeIs(4), Each(Not(HasSubstr("\n")))));
}

TEST(CommandLine, HelpNamesEveryFlagWithItsDefaultAndWhatIsAllowed) {
    const auto text = read_command_line({"--help"}).text;
    for (const auto& setting : settings()) {
        EXPECT_THAT(text, HasSubstr(setting.flag() + " "));
        EXPECT_THAT(text, HasSubstr(std::string(setting.help)));
        EXPECT_THAT(text, HasSubstr(setting.allowed));
    }
    for (const auto* name : {"--config", "--check-config", "--version", "--help", "--probe", "--spool-dump"})
        EXPECT_THAT(text, HasSubstr(name));
    EXPECT_THAT(text, HasSubstr("[8080]"));
    EXPECT_THAT(text, HasSubstr("SERVICE_APP_PORT"));
}

}  // namespace
}  // namespace configs
