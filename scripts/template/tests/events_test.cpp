// What was answered 201 is not lost.

#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>

#include "tests/integration/event_lines.hpp"
#include "tests/integration/service.hpp"

namespace {

using integration::service;

std::string id_of(const std::string& created) { return std::string(boost::json::parse(created).at("id").as_string()); }

TEST(Events, AnAcceptedOneIsDelivered) {
    service running;
    const auto answer = running.ask(integration::request("POST", "/greetings", {}, "Ada"));
    ASSERT_EQ(answer.status, 201);
    running.begin_stop(SIGTERM);
    EXPECT_EQ(running.exit_code(), 0) << running.err();
    EXPECT_THAT(running.events(), testing::HasSubstr(id_of(answer.body)));
}

TEST(Events, AnAcceptedOneSurvivesKillMinus9) {
    const support::temporary_directory kept;
    const auto directory = "--tracker.directory=" + (kept.path() / "events").string();
    std::string id;
    {
        service killed({directory, "--tracker.batch_age=1m"});  // so that it is still in the spool
        const auto answer = killed.ask(integration::request("POST", "/greetings", {}, "Ada"));
        ASSERT_EQ(answer.status, 201);
        id = id_of(answer.body);
        killed.process().signal(SIGKILL);
        EXPECT_EQ(killed.exit_code(), -1);
    }
    service next({directory});
    const auto file = kept.path() / "events" / "events.jsonl";
    // A stop that came before it would leave it to the run after that.
    EXPECT_TRUE(support::eventually([&] { return support::read_file(file).find(id) != std::string::npos; }))
        << next.err();
    next.begin_stop(SIGTERM);
    EXPECT_EQ(next.exit_code(), 0) << next.err();
    EXPECT_TRUE(integration::ids_in(file).contains(id));
}

}  // namespace
