// docs/operations.md says of the real program what is true of it: settings, defaults, metrics, exit codes.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>

#include "configs/settings.hpp"
#include "tests/integration/service.hpp"

namespace integration {
namespace {

/// The cells of each row of the manual's tables whose first cell is `code`, by that: `| `app.port` | `8080` | | … |`.
std::map<std::string, std::vector<std::string>> rows(const std::string& heading) {
    const auto manual = support::read_file(SOURCE_DIR "/docs/operations.md");
    const auto from = manual.find("\n## " + heading + "\n");
    if (from == std::string::npos) throw std::runtime_error("docs/operations.md: no heading " + heading);
    std::istringstream lines(manual.substr(from + 1, manual.find("\n## ", from + 1) - from));
    std::map<std::string, std::vector<std::string>> all;
    for (std::string line; std::getline(lines, line);) {
        std::vector<std::string> cells;
        for (std::size_t at = 1, end = 0; (end = line.find(" |", at)) != std::string::npos; at = end + 2)
            cells.push_back(at < end ? line.substr(at + 1, end - at - 1) : "");
        if (line.starts_with('|') && !cells.empty() && cells[0].size() > 2 && cells[0][0] == '`')
            all[cells[0].substr(1, cells[0].size() - 2)] = cells;
    }
    return all;
}

/// As the manual writes a value: `10s`; nothing for none.
std::string in_code(std::string value) {
    std::erase_if(value, [](char c) { return c == '"' || c == '[' || c == ']'; });
    return value.empty() ? value : '`' + value + '`';
}

TEST(Operations, TheManualHasEverySettingWithItsDefaultAndNoOther) {
    const auto checked = run_to_end({"--check-config"});
    ASSERT_EQ(checked.code, 0) << checked.err;
    std::map<std::string, std::string> defaults;
    std::istringstream lines(checked.out);
    for (std::string line; std::getline(lines, line);) {
        const auto equals = line.find(" = ");
        defaults[line.substr(0, equals)] = line.substr(equals + 3, line.rfind("  # ") - equals - 3);
    }
    auto manual = rows("Settings");
    for (const auto& setting : configs::settings()) {
        const std::string key(setting.key);
        ASSERT_TRUE(defaults.contains(key)) << checked.out;
        const auto row = manual.extract(key);
        const auto expected = fmt::format("| `{}` | {} | {} | what it is for |", key, in_code(defaults[key]),
                                          setting.reloadable ? "yes" : "");
        ASSERT_TRUE(row && row.mapped().size() == 4) << "docs/operations.md lacks " << expected;
        EXPECT_EQ(row.mapped()[1], in_code(defaults[key])) << expected;
        EXPECT_EQ(row.mapped()[2], setting.reloadable ? "yes" : "") << expected;
        EXPECT_NE(row.mapped()[3], "") << expected;
    }
    for (const auto& [key, cells] : manual) ADD_FAILURE() << "docs/operations.md has a setting that is none: " << key;
}

TEST(Operations, TheManualHasEveryMetricWithItsTypeAndNoOther) {
    const service service;
    ASSERT_EQ(service.ask(request("POST", "/events", {}, "one")).status, 201);
    auto manual = rows("Metrics");
    std::istringstream lines(service.ask_debug(get("/metrics")).body);
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("# TYPE ")) continue;
        std::istringstream words(line.substr(7));
        std::string name, type;
        words >> name >> type;
        const auto row = manual.extract(name);
        ASSERT_TRUE(row && row.mapped().size() == 4)
            << fmt::format("docs/operations.md lacks | `{}` | {} |", name, type);
        EXPECT_EQ(row.mapped()[1], type) << name;
    }
    for (const auto& [name, cells] : manual) ADD_FAILURE() << "docs/operations.md has a metric that is none: " << name;
}

TEST(Operations, TheManualHasEveryExitCode) {
    const auto manual = rows("Exit codes");
    for (const char* code : {"0", "1", "2", "3", "4"}) EXPECT_TRUE(manual.contains(code)) << code;
    EXPECT_EQ(manual.size(), 5U);
}

}  // namespace
}  // namespace integration
