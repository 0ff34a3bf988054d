#include <fmt/format.h>
#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "configs/load.hpp"

namespace configs {
namespace {

using testing::IsEmpty;

const std::string path = SOURCE_DIR "/configs/service.toml";

/// What the table says, as the file has it: `[app]`, comment, key, empty line.
std::string from_table() {
    std::string text;
    std::string section;
    for (const auto& setting : settings()) {
        const auto dot = setting.key.find('.');
        if (dot != std::string_view::npos && setting.key.substr(0, dot) != section) {
            section = setting.key.substr(0, dot);
            text += fmt::format("[{}]\n", section);
        }
        const auto name = dot == std::string_view::npos ? setting.key : setting.key.substr(dot + 1);
        text += fmt::format("# {} {}\n{} = {}\n\n", setting.help, setting.remark(), name, setting.toml(config{}));
    }
    text.pop_back();
    return text;
}

TEST(ServiceToml, SaysWhatTheTableSaysLineForLine) {
    std::ifstream file(path);
    std::stringstream all;
    all << file.rdbuf();
    const auto text = all.str();
    const auto introduction = text.find("\n\n");
    ASSERT_NE(introduction, std::string::npos);
    EXPECT_EQ(text.substr(introduction + 2), from_table());
}

TEST(ServiceToml, NamesEverySettingWithItsDefault) {
    const auto result = load(read_command_line({"--config", path}), {});
    EXPECT_THAT(result.faults, IsEmpty());
    EXPECT_THAT(changes(result.values, config{}), IsEmpty());
    for (const auto& [key, place] : result.origin) EXPECT_TRUE(place.starts_with(path + ":")) << key;
}

}  // namespace
}  // namespace configs
