// The log of the real program as JSON: each line is an object of docs/log.schema.json, each fact a field.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <regex>
#include <sstream>
#include <vector>

#include "tests/integration/service.hpp"

namespace integration {
namespace {

namespace json = boost::json;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::vector<std::string> as_json{"--log.format=json", "--log.access=true"};

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> all;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) all.push_back(line);
    return all;
}

const json::object& schema() {
    static const auto read = json::parse(support::read_file(SOURCE_DIR "/docs/log.schema.json")).as_object();
    return read;
}

bool is_of(const json::value& value, std::string_view type) {
    if (type == "string") return value.is_string();
    if (type == "object") return value.is_object();
    if (type == "integer") return value.is_int64() || value.is_uint64();
    return type == "number" && value.is_number();
}

/// What the schema has against a line; empty: nothing.
std::string fault_of(const std::string& line) {
    boost::system::error_code error;
    const auto parsed = json::parse(line, error);
    if (error || !parsed.is_object()) return "no object: " + line;
    for (const auto& name : schema().at("required").as_array())
        if (!parsed.as_object().contains(name.as_string()))
            return std::string(name.as_string()) + " is missing: " + line;
    const auto& known = schema().at("properties").as_object();
    for (const auto& [name, value] : parsed.as_object()) {
        const auto* const rule = known.if_contains(name);
        if (rule == nullptr) return std::string(name.data(), name.size()) + " is not in the schema: " + line;
        const auto& type = rule->as_object().at("type");
        const auto& here = value;
        const bool fits = type.is_string() ? is_of(here, type.as_string())
                                           : std::ranges::any_of(type.as_array(), [&here](const auto& each) {
                                                 return is_of(here, each.as_string());
                                             });
        if (!fits) return std::string(name.data(), name.size()) + " is not of its type: " + line;
        if (const auto* const pattern = rule->as_object().if_contains("pattern"))
            if (!std::regex_match(value.as_string().c_str(), std::regex(pattern->as_string().c_str())))
                return std::string(name.data(), name.size()) + " is not of its pattern: " + line;
        if (const auto* const list = rule->as_object().if_contains("enum"))
            if (std::ranges::find(list->as_array(), value) == list->as_array().end())
                return std::string(name.data(), name.size()) + " has a value that is not in the list: " + line;
    }
    return "";
}

/// The first line whose message begins so, as an object.
json::object line_of(const service& service, const std::string& message) {
    EXPECT_TRUE(service.logs("\"message\":\"" + message)) << service.err();
    for (const auto& line : split(service.err()))
        if (line.find("\"message\":\"" + message) != line.npos) return json::parse(line).as_object();
    return {};
}

TEST(Log, EveryLineOfALifeIsAnObjectOfTheSchema) {
    service service({.flags = as_json, .environment = {"SERVICE_APP_PROT=1"}});
    EXPECT_EQ(service.ask(get("/")).status, 200);
    EXPECT_EQ(service.ask(get("/none?q=\"\\\x7f")).status, 400);
    EXPECT_EQ(service.ask(get("/slow?ms=20", "X-Request-Timeout: 1ms\r\n")).status, 504);
    EXPECT_EQ(service.ask(post("one", "data")).status, 201);
    EXPECT_EQ(service.ask_debug(request("POST", "/debug/log?level=debug", {})).status, 200);
    service.process().signal(SIGHUP);
    EXPECT_TRUE(service.logs("settings have changed"));
    service.process().signal(SIGQUIT);
    EXPECT_TRUE(service.logs("stack of "));
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    const auto lines = split(service.err());
    EXPECT_GT(lines.size(), 15U);
    for (const auto& line : lines) EXPECT_EQ(fault_of(line), "");
}

TEST(Log, AnAccessLineHasEachFactAsAFieldOfItsOwn) {
    service service(as_json);
    const std::string trace = "0af7651916cd43dd8448eb211c80319c";
    EXPECT_EQ(
        service.ask(get("/?a=b", "X-Request-Id: order-7\r\ntraceparent: 00-" + trace + "-b7ad6b7169203331-01\r\n"))
            .status,
        200);
    const auto line = line_of(service, "access");
    EXPECT_EQ(line.at("server"), "app");
    EXPECT_EQ(line.at("client"), "127.0.0.1");
    EXPECT_EQ(line.at("method"), "GET");
    EXPECT_EQ(line.at("target"), "/?a=b");
    EXPECT_EQ(line.at("protocol"), "HTTP/1.1");
    EXPECT_EQ(line.at("route"), "GET /");
    EXPECT_EQ(line.at("status"), 200);
    EXPECT_EQ(line.at("bytes"), 13);
    EXPECT_EQ(line.at("request_id"), "order-7");
    EXPECT_EQ(std::string(line.at("trace_id").as_string()), trace);
    EXPECT_EQ(line.at("span_id").as_string().size(), 16U);
    EXPECT_EQ(line.at("ending"), "--");
    EXPECT_LT(line.at("duration_ms").as_double(), 10'000);
    EXPECT_FALSE(line.contains("rule"));
    EXPECT_EQ(line.at("peer"), "127.0.0.1") << "the client is at the other end";
    EXPECT_EQ(line_of(service, "closed").at("peer"), "127.0.0.1");
}

TEST(Log, OfWhatIsRefusedThereIsTheRuleAndNoRoute) {
    service service(as_json);
    EXPECT_EQ(service.ask(get("/none")).status, 404);
    const auto line = line_of(service, "access");
    EXPECT_EQ(line.at("rule"), "route");
    EXPECT_EQ(line.at("status"), 404);
    EXPECT_EQ(line.at("peer"), "127.0.0.1");
    EXPECT_FALSE(line.contains("route"));
    EXPECT_FALSE(line.contains("trace_id"));
}

TEST(Log, WhatComesFromOutsideIsEscapedAndMakesNoFieldOfItsOwn) {
    service service(as_json);
    const std::string odd = R"(/none?","level":"error","x":"\)";
    EXPECT_EQ(service.ask(get(odd)).status, 400) << "a quote is not in a target";
    EXPECT_EQ(service.ask(get("/none?%22|{}\\")).status, 404);
    EXPECT_TRUE(service.logs(R"(/none?%22|{}\\)"));
    for (const auto& line : split(service.err())) EXPECT_EQ(fault_of(line), "");
}

TEST(Log, ALineForPeopleStandsBeforeTheReportWhichIsAnObject) {
    service service(as_json);
    EXPECT_EQ(service.ask(post("one", "data")).status, 201);
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    const auto lines = split(service.err());
    ASSERT_GE(lines.size(), 2U);
    const auto report = json::parse(lines.back()).as_object();
    EXPECT_EQ(report.at("message"), "shutdown report");
    EXPECT_EQ(report.at("report"), service.report());
    const auto verdict = json::parse(lines[lines.size() - 2]).as_object();
    EXPECT_THAT(std::string(verdict.at("message").as_string()),
                ContainsRegex("^stopped in [0-9]+ ms, code 0: [0-9]+ answered, 0 cut, 0 events left$"));
    EXPECT_EQ(verdict.at("exit_code"), 0);
    EXPECT_EQ(verdict.at("duration_ms"), service.report().at("duration_ms"));
}

/// The program with its standard error in the file `log`, and with what systemd would say of it.
service to_journal(std::vector<std::string> flags, const std::string& stream) {
    return service(
        {.flags = std::move(flags),
         .environment = {"SERVICE_APP_PROT=1"},
         .starter = {"/bin/sh", "-c", ": > log; export JOURNAL_STREAM=" + stream + R"(; exec "$0" "$@" 2>> log)"}});
}

TEST(Log, ToTheJournalALineHasItsPriorityAndNeitherTimeNorLevel) {
    auto service = to_journal({"--log.access=true"}, "$(stat -c %d:%i log)");
    EXPECT_EQ(service.ask(get("/")).status, 200);
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    const auto lines = split(support::read_file(service.directory() / "log"));
    ASSERT_GE(lines.size(), 4U);
    for (const auto& line : lines) EXPECT_THAT(line, ContainsRegex("^<[246]>[a-zA-Z]"));
    EXPECT_THAT(lines, testing::Contains(StartsWith("<4>SERVICE_APP_PROT: no such setting")));
    EXPECT_THAT(lines, testing::Contains(StartsWith("<6>access 127.0.0.1 GET / 200 ")));
    EXPECT_THAT(lines.back(), StartsWith("<6>shutdown report {"));
}

TEST(Log, ToTheJournalAsJsonTheObjectFollowsThePriority) {
    auto service = to_journal(as_json, "$(stat -c %d:%i log)");
    EXPECT_EQ(service.ask(get("/")).status, 200);
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    for (const auto& line : split(support::read_file(service.directory() / "log"))) {
        EXPECT_THAT(line, ContainsRegex("^<[46]>[{]\"level\":\"(info|warning)\""));
        EXPECT_EQ(fault_of(line.substr(3)), "");
    }
}

TEST(Log, AnInheritedJournalStreamThatStandardErrorIsNotChangesNothing) {
    auto service = to_journal({}, "8:1");
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    const auto lines = split(support::read_file(service.directory() / "log"));
    ASSERT_FALSE(lines.empty());
    for (const auto& line : lines) EXPECT_THAT(line, ContainsRegex("^20[0-9][0-9]-.*Z (info|warning) "));
}

}  // namespace
}  // namespace integration
