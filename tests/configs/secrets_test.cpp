// KEY_file: where a value may come from a file, and what is said of one that cannot be used.
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "configs/kinds.hpp"
#include "configs/load.hpp"
#include "configs/program.hpp"
#include "configs/secret_file.hpp"

namespace configs {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* key = "tracker.http_authorization";
constexpr const char* flag = "--tracker.http_authorization";
constexpr const char* of_file = "tracker.http_authorization_file";
constexpr const char* variable = "SERVICE_TRACKER_HTTP_AUTHORIZATION";

/// A folder of its own for each test.
class Secrets : public testing::Test {
public:
    Secrets() {
        auto pattern = testing::TempDir() + "secretsXXXXXX";
        folder_ = ::mkdtemp(pattern.data());
    }
    ~Secrets() override { std::filesystem::remove_all(folder_); }

protected:
    std::string path(const std::string& name) const { return folder_ / name; }
    std::string file(const std::string& text, const std::string& name = "token", mode_t mode = 0600) const {
        std::ofstream(path(name), std::ios::binary) << text;
        ::chmod(path(name).c_str(), mode);
        return path(name);
    }
    static loaded from(const std::vector<std::string>& arguments, const environment& variables = {}) {
        return load(read_command_line(arguments), variables);
    }
    loaded from_toml(const std::string& text, const std::vector<std::string>& flags = {}) const {
        std::vector<std::string> arguments = {"--config", file("[tracker]\n" + text, "test.toml")};
        arguments.insert(arguments.end(), flags.begin(), flags.end());
        return from(arguments);
    }
    static std::string value(const loaded& all) {
        return all.faults.empty() ? all.values.tracker.http.authorization : "fault: " + all.faults.front();
    }

    std::filesystem::path folder_;
};

TEST_F(Secrets, ComeFromAFileThatEachPlaceCanName) {
    const auto token = file("Bearer a\n");
    for (const auto& all : {from({std::string(flag) + "_file=" + token}), from({std::string(flag) + "_file", token}),
                            from({}, {{std::string(variable) + "_FILE", token}}),
                            from_toml("http_authorization_file = '" + token + "'\n")}) {
        EXPECT_EQ(value(all), "Bearer a");
        EXPECT_THAT(all.warnings, IsEmpty());
    }
    const auto all = from_toml("http_authorization_file = '" + token + "'\n");
    EXPECT_EQ(all.origin.at(key), path("test.toml") + ":2: " + token);
    EXPECT_EQ(all.origin.at(of_file), path("test.toml") + ":2");
}

TEST_F(Secrets, ASettingHasAFileWhenItIsASecretOrAUrl) {
    for (const auto& row : settings()) {
        const auto* const named = find_setting(std::string(row.key) + "_file");
        EXPECT_EQ(row.has_file(), named != nullptr && named->help.starts_with("file with the value of ")) << row.key;
        if (named != nullptr && row.has_file()) {
            EXPECT_EQ(row.reloadable, named->reloadable) << row.key;
        }
    }
    EXPECT_TRUE(find_setting(key)->has_file());
    EXPECT_TRUE(find_setting("tracker.http_url")->has_file());
    EXPECT_TRUE(find_setting(key)->reloadable);
}

TEST_F(Secrets, LoseOneLineBreakAtTheirEnd) {
    const std::vector<std::pair<std::string, std::string>> trials = {
        {"a", "a"}, {"a\n", "a"}, {"a\r\n", "a"}, {" a b ", " a b "}, {"\xc3\xa9\n", "\xc3\xa9"}};
    for (const auto& [bytes, text] : trials) EXPECT_EQ(read_secret_file(file(bytes)).text, text);
    const std::string most(largest_secret, 'x');
    EXPECT_EQ(read_secret_file(file(most + "\r\n")).text, most);
}

TEST_F(Secrets, AFileThatCannotBeUsedHasAReasonAndNothingOfItsText) {
    const std::vector<std::pair<std::string, std::string>> trials = {
        {"", "is empty"},
        {"\n", "is empty"},
        {"hunter2\n\n", "holds more than one line"},
        {"hunter2\nb", "holds more than one line"},
        {"hunter2\r", "holds a control character"},
        {"hunter2\t", "holds a control character"},
        {"hunter2\xFF", "not UTF-8"},
        {"\xEF\xBB\xBFhunter2", "byte order mark"},
        {std::string("hunter2\0", 8), "holds a NUL"},
        {std::string(largest_secret + 1, 'x'), "has more than 64KiB"},
        {std::string(1'000'000, 'x'), "has more than 64KiB"}};
    for (const auto& [bytes, why] : trials) {
        const auto read = read_secret_file(file(bytes));
        EXPECT_THAT(read.fault, AllOf(HasSubstr(why), Not(HasSubstr("hunter2")))) << why;
    }
    EXPECT_THAT(read_secret_file(path("missing")).fault, HasSubstr("No such file"));
    EXPECT_THAT(read_secret_file(file("a") + "/b").fault, HasSubstr("Not a directory"));
    EXPECT_EQ(read_secret_file(folder_).fault, "is a directory");
    EXPECT_EQ(read_secret_file("/dev/null").fault, "is a device");
    if (::geteuid() == 0) return;  // root may read everything
    EXPECT_THAT(read_secret_file(file("a", "closed", 0)).fault, HasSubstr("Permission denied"));
}

TEST_F(Secrets, NobodyWaitsForTheOtherEndOfAPipe) {
    ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
    EXPECT_EQ(read_secret_file(path("pipe")).fault, "is a FIFO");
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    path("socket").copy(address.sun_path, sizeof address.sun_path - 1);
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::close(socket);
    EXPECT_EQ(read_secret_file(path("socket")).fault, "is a socket");
}

TEST_F(Secrets, AFaultNamesKeyPlaceFileAndWhatIsAllowed) {
    const auto missing = path("missing");
    EXPECT_THAT(from({}, {{std::string(variable) + "_FILE", missing}}).faults,
                ElementsAre(std::string(of_file) + " = \"" + missing + "\" (" + variable +
                            "_FILE): it cannot be read: No such file or directory: allowed is a path of a file with "
                            "one line of at most 64KiB, or empty for none"));
}

TEST_F(Secrets, TheLaterPlaceWinsWhicheverWayItSaysIt) {
    const auto first = file("first\n", "a"), second = file("second\n", "b");
    const auto toml_file = "http_authorization_file = '" + first + "'\n";
    const std::string toml_text = "http_authorization = 'text'\n";
    const auto by_file = std::string(flag) + "_file=";
    EXPECT_EQ(value(from_toml(toml_file, {std::string(flag) + "=flag"})), "flag");
    EXPECT_EQ(value(from_toml(toml_text, {by_file + second})), "second");
    EXPECT_EQ(value(from_toml(toml_file, {by_file + second})), "second");
    EXPECT_EQ(value(from_toml(toml_file, {by_file})), "") << "none";
    EXPECT_EQ(value(from_toml(toml_text, {by_file})), "text");
    EXPECT_EQ(value(from_toml(toml_file, {std::string(flag) + "="})), "") << "an empty one is one too";
    EXPECT_EQ(value(from({by_file + first, by_file + second})), "second");
}

TEST_F(Secrets, WhatALaterPlaceOverridesIsNotRead) {
    const auto all = from_toml("http_authorization_file = 'missing'\n", {std::string(flag) + "=flag"});
    EXPECT_THAT(all.faults, IsEmpty());
    EXPECT_EQ(all.origin.at(key), flag);
    EXPECT_EQ(all.origin.at(of_file), flag) << "that is why there is none";
    EXPECT_EQ(find_setting(of_file)->get(all.values), "");
}

TEST_F(Secrets, BothInOnePlaceAreAFault) {
    const auto token = file("a\n");
    const auto line = "http_authorization_file = '" + token + "'\n";
    EXPECT_THAT(from_toml("http_authorization = 'hunter2'\n" + line).faults,
                ElementsAre(AllOf(HasSubstr(std::string(of_file) + " = \"" + token), HasSubstr("test.toml:3"),
                                  HasSubstr(std::string(key) + " (" + path("test.toml") + ":2)"),
                                  HasSubstr("allowed is one of the two"), Not(HasSubstr("hunter2")))));
    EXPECT_THAT(from({std::string(flag) + "=x", std::string(flag) + "_file=" + token}).faults, SizeIs(1));
    EXPECT_THAT(from({std::string(flag) + "_file=" + token}, {{variable, "x"}}).faults, IsEmpty()) << "of two places";
    EXPECT_EQ(value(from_toml("http_authorization = ''\n" + line)), "a") << "service.toml has all defaults";
    EXPECT_EQ(value(from_toml("http_authorization = 'x'\nhttp_authorization_file = ''\n")), "x");
}

TEST_F(Secrets, AValueThatIsNotTomlIsNotInTheFault) {
    for (const auto* line : {"http_authorization = token", "http_authorization = 99999999999999999999 \n",
                             "http_authorization=n7ot", "  \"http_url\"  = fhttp://a\n", "tracker.http_url = 'token"})
        EXPECT_THAT(from_toml(line).faults,
                    ElementsAre(path("test.toml") + ":2: not TOML: the value of a secret is not a string in quotes"))
            << line;
    EXPECT_THAT(from_toml("http_url = ''\nhttp_ca = token\n").faults, ElementsAre(HasSubstr("saw 'to")));
}

TEST_F(Secrets, WhatCheckPrintsOfThemIsASettingsFileThatSaysTheSame) {
    const auto first = from({std::string(flag) + "_file=" + file("hunter2\n"),
                             "--tracker.http_url_file=" + file("http://u:hunter2@a/?hunter2\n", "url")});
    ASSERT_THAT(first.faults, IsEmpty());
    const auto text = to_toml(first);
    EXPECT_THAT(text, AllOf(HasSubstr(std::string(key) + " = \"***\"  # " + flag + "_file: " + path("token") + "\n"),
                            HasSubstr("tracker.http_url = \"http://***@a/?***\"  # "), Not(HasSubstr("hunter2"))));
    const auto second = from({"--config", file(text, "printed.toml")});
    EXPECT_THAT(second.faults, IsEmpty());
    EXPECT_THAT(changes(first.values, second.values), IsEmpty());
}

TEST_F(Secrets, AFileThatAnybodyMayReadIsAWarning) {
    const auto all = from({std::string(flag) + "_file=" + file("a\n", "token", 0604)});
    EXPECT_THAT(all.faults, IsEmpty());
    EXPECT_THAT(all.warnings, ElementsAre(std::string(of_file) + " = \"" + path("token") + "\" (" + flag +
                                          "_file): everybody may read this file"));
}

TEST_F(Secrets, AProbeDoesNotReadThem) {
    const auto named = std::string(flag) + "_file=" + path("missing");
    EXPECT_THAT(from({named, "--probe=livez"}).faults, IsEmpty());
    EXPECT_THAT(from({named, "--spool-dump=x"}).faults, IsEmpty());
    EXPECT_THAT(from({named, "--help"}).faults, IsEmpty());
    EXPECT_THAT(from({named, "--check-config"}).faults, SizeIs(1));
}

TEST_F(Secrets, AReloadReadsThemAgainAtRest) {
    const auto line = read_command_line({std::string(flag) + "_file=" + file("first\n")});
    const auto before = load(line, {});
    file("second\n");
    const auto fresh = load_again(line, {});
    EXPECT_EQ(value(fresh), "second") << "written a moment ago, and not since";
    EXPECT_EQ(value(reloaded(before, fresh, {})), "second");
    const auto differences = changes(before.values, fresh.values);
    ASSERT_THAT(differences, SizeIs(1));
    EXPECT_EQ(differences[0].key, key);
    EXPECT_EQ(differences[0].before + differences[0].after, "******");
}

TEST_F(Secrets, AReloadThatFindsAFaultSaysIt) {
    const auto line = read_command_line({std::string(flag) + "_file=" + file("first\n")});
    std::filesystem::remove(path("token"));
    EXPECT_THAT(load_again(line, {}).faults, ElementsAre(HasSubstr("No such file")));
    file("");
    EXPECT_THAT(load_again(line, {}).faults, ElementsAre(HasSubstr("is empty")));
}

TEST_F(Secrets, OneThatNeedsARestartIsNamedThoughOnlyItsPasswordDiffers) {
    const auto line = read_command_line({"--tracker.http_url_file=" + file("http://a/?one\n")});
    const auto before = load(line, {});
    file("http://a/?two\n");
    const auto fresh = load_again(line, {});
    const auto waiting = changes(reloaded(before, fresh, {}).values, fresh.values);
    ASSERT_THAT(waiting, SizeIs(1));
    EXPECT_EQ(waiting[0].key, "tracker.http_url");
    EXPECT_EQ(waiting[0].after, "http://a/?***");
}

struct own_secrets {
    std::string key, upstream;
};

TEST_F(Secrets, AProgramsOwnRowsHaveFilesToo) {
    using namespace kinds;
    program shop{.rows = {secret(text("shop.key", "of the shop", "a text", OWN_LIVE(own_secrets, key), is_text)),
                          url("shop.upstream", "who is asked", "a URL", OWN(own_secrets, upstream))}};
    const auto table = table_of(shop);
    ASSERT_EQ(table.back().key, "shop.upstream_file");
    const auto& of_key = table[table.size() - 3];
    EXPECT_EQ(of_key.key, "shop.key_file");
    EXPECT_EQ(of_key.flag(), "--shop.key_file");
    EXPECT_EQ(of_key.variable(), "SERVICE_SHOP_KEY_FILE");
    EXPECT_TRUE(of_key.reloadable);
    EXPECT_FALSE(table.back().reloadable);
    config values;
    EXPECT_FALSE(of_key.set(values, "a\nb"));
    ASSERT_TRUE(of_key.set(values, "/run/secrets/key"));
    EXPECT_EQ(of_key.get(values), "/run/secrets/key");
    EXPECT_EQ(table.back().get(values), "");
    shop.rows.push_back(text("shop.key_file", "", "", OWN(own_secrets, key), is_text));
    EXPECT_THROW(table_of(shop), std::logic_error);
}

}  // namespace
}  // namespace configs
