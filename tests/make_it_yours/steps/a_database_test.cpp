#include <csignal>

#include <gmock/gmock.h>

#include "tests/integration/service.hpp"
#include "tests/support/load.hpp"
#include "tests/support/postgres.hpp"

namespace {

using integration::get;
using integration::number;
using integration::service;

std::string put(std::uint64_t id) {
    return integration::request("PUT", "/stored/" + std::to_string(id), "Content-Type: application/json\r\n",
                                R"({"item":"nut","quantity":2})");
}

class ADatabase : public testing::Test {
protected:
    void SetUp() override {
        if (!support::postgres::is_installed()) GTEST_SKIP() << "PostgreSQL is not installed";
        server_ = std::make_unique<support::postgres>();
        server_->execute(
            "CREATE TABLE orders (id int PRIMARY KEY, item text NOT NULL, quantity int NOT NULL, note text)");
    }
    std::string flag() const { return "--database.connection=" + server_->connection(); }

    std::unique_ptr<support::postgres> server_;
};

TEST_F(ADatabase, KeepsWhatItWasGiven) {
    service running({flag()});
    EXPECT_EQ(running.ask(put(7)).status, 201);
    EXPECT_EQ(running.ask(put(7)).status, 409);
    EXPECT_EQ(running.ask(get("/stored/7")).body, R"({"item":"nut","quantity":2,"note":null})"
                                                  "\n");
    EXPECT_EQ(running.ask(get("/stored/8")).status, 404);
}

TEST_F(ADatabase, AStopUnderLoadLosesNobodyAndEachConnectionComesBack) {
    service running({flag()});
    support::load clients(running.app(), {.connections = 16, .request = [](std::uint64_t nth) { return put(nth); }});
    ASSERT_TRUE(clients.run([&] { return clients.seen().answered >= 200; }, integration::milliseconds(20'000)));
    running.process().signal(SIGTERM);
    clients.run([&] { return clients.alive() == 0; }, integration::milliseconds(20'000));
    clients.finish(integration::milliseconds(20'000));
    EXPECT_EQ(clients.seen().lost(), 0U);
    EXPECT_EQ(running.exit_code(), 0) << running.err();
    EXPECT_EQ(integration::faults(running.report()), "");
    EXPECT_GE(number(running.report(), "database", "returned"), 200);
    EXPECT_EQ(number(running.report(), "database", "leased"), 0);
    EXPECT_EQ(number(running.report(), "database", "dropped"), 0);
}

TEST(ADatabaseThatIsNotThere, LeavesTheServiceUnreadyUntilItComes) {
    const service running(
        service::options{.flags = {"--database.connection=host=/nowhere"}, .wait_until_ready = false});
    EXPECT_TRUE(running.logs("not connected to the database"));
}

}  // namespace
