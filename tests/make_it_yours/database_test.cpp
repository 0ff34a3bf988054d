// The pool of connections of docs/make-it-yours.md, on a PostgreSQL of its own. The marked regions are code blocks of
// it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "server/json.hpp"
#include "tests/lifecycle/fakes.hpp"
#include "tests/make_it_yours/database.hpp"
#include "tests/server/serving.hpp"
#include "tests/support/postgres.hpp"

namespace make_it_yours {
namespace {

namespace http = server::http;
namespace json = server::json;
using namespace std::chrono_literals;
using lifecycle::context;
using server::request;
using server::response;
using answer = lifecycle::awaitable<response>;

struct order {
    std::string item;
    int quantity = 0;
    std::optional<std::string> note;

    static constexpr auto json_members =
        json::members(json::member("item", &order::item), json::member("quantity", &order::quantity),
                      json::member("note", &order::note));
};

// [database handlers]
/// What a database without an answer is to a client.
response unanswered(const boost::system::error_code& why) {
    if (why == boost::system::errc::timed_out) return server::problem(http::status::gateway_timeout);
    return std::move(server::problem(http::status::service_unavailable).set("Retry-After", "1"));
}

/// PUT /stored/{id}
answer store_order(database& data, context context, const request& request) {
    const auto id = request.parameter<int>("id");
    if (!id) co_return server::problem(http::status::not_found);
    const auto asked = json::read<order>(request);
    if (!asked) co_return asked.problem();
    auto storing = data.with(context, "store order", [id = *id, put = *asked](database::session& session) {
        return session.query("INSERT INTO orders VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING id",
                             {std::to_string(id), put.item, std::to_string(put.quantity), put.note});
    });
    const auto stored = co_await std::move(storing);
    if (!stored) co_return unanswered(stored.error());
    if (stored->empty()) co_return server::problem(http::status::conflict);
    co_return json::answer(http::status::created, *asked);
}

/// GET /stored/{id}
answer stored_order(database& data, context context, const request& request) {
    const auto id = request.parameter<int>("id");
    if (!id) co_return server::problem(http::status::not_found);
    auto looking = data.with(context, "find order", [id = *id](database::session& session) {
        return session.query("SELECT item, quantity, note FROM orders WHERE id = $1", {std::to_string(id)});
    });
    const auto found = co_await std::move(looking);
    if (!found) co_return unanswered(found.error());
    if (found->empty()) co_return server::problem(http::status::not_found);
    const auto& row = found->front();
    co_return json::answer(http::status::ok, order{*row[0], std::stoi(*row[1]), row[2]});
}
// [/database handlers]

/// GET /hold: a statement of ten minutes.
answer hold(database& data, context context, const request&) {
    auto holding =
        data.with(context, "hold", [](database::session& session) { return session.query("SELECT pg_sleep(600)"); });
    const auto held = co_await std::move(holding);
    co_return held ? response(http::status::ok) : unanswered(held.error());
}

/// A database in front of an app, as main has them; `drive` runs beside and ends with a stop.
class service {
public:
    explicit service(const std::string& connection, std::size_t connections = 2,
                     lifecycle::shutdown_options options = fakes::process::brisk())
        : process_(options),
          data_({.connection = connection, .connections = connections, .waiting = 2}, process_.workers, process_.log,
                data_part_) {}

    /// The exit code.
    int run(const std::function<void(service&)>& drive) {
        server::router routes;
        auto& data = data_;
        // [database routes]
        routes.put("/stored/{id}", [&data](context context, const request& request) {
            return store_order(data, std::move(context), request);
        });
        routes.get("/stored/{id}", [&data](context context, const request& request) {
            return stored_order(data, std::move(context), request);
        });
        // [/database routes]
        routes.get("/hold", [&data](context context, const request& request) {
            return hold(data, std::move(context), request);
        });
        auto& process = process_;
        server::http_server app(serving::one_loop(), std::move(routes), app_part_, process.workers, process.log);
        to_ = app.address();
        process.done.run(data_part_, [&](const std::stop_token& token) { data.run(token); });
        process.done.run(app_part_, [&](std::stop_token token) { app.run(std::move(token)); });
        std::jthread driver([&] {
            drive(*this);
            process.send(SIGTERM);
        });
        return process.done.wait({.account = [&](auto& report) {
            server::stop_account served;
            app.account(served);
            served.add_to(report);
            data.fill_in(report);
            report_ = report;
        }});
    }
    void until_ready() {
        ASSERT_TRUE(fakes::eventually([&] { return process_.stop.is_ready(); }));
    }
    bool is_up() const { return process_.stop.has_been_ready(); }
    support::client connect() const { return support::client(support::endpoint(to_), 20s); }
    support::response ask(const std::string& text) const {
        auto client = connect();
        return serving::ask_on(client, text);
    }
    support::response put(const std::string& path, const std::string& body) const {
        return ask(support::request("PUT", path, "Content-Type: application/json\r\n", body));
    }
    bool has(const char* line, double value) const {
        return fakes::eventually([&] {
            server::metrics_text out;
            data_.write_metrics(out);
            return out.take().find(fmt::format("{} {}\n", line, value)) != std::string::npos;
        });
    }
    bool says(std::string_view text) const {
        return fakes::eventually([&] { return process_.lines->has(text); });
    }
    lifecycle::stop_channel& stop() { return process_.stop; }
    const lifecycle::shutdown_report& report() const { return report_; }

private:
    fakes::process process_;
    lifecycle::part data_part_ = process_.stop.add_part("database", 500ms, lifecycle::until_up);
    lifecycle::part app_part_ = process_.stop.add_part("app", lifecycle::serves_clients);
    database data_;
    std::string to_;
    lifecycle::shutdown_report report_;
};

class Database : public testing::Test {
protected:
    static void SetUpTestSuite() {
        if (!support::postgres::is_installed()) return;
        server = std::make_unique<support::postgres>();
        sql("CREATE TABLE orders (id int PRIMARY KEY, item text NOT NULL, quantity int NOT NULL, note text)");
    }
    static void TearDownTestSuite() { server.reset(); }
    void SetUp() override {
        if (!server) GTEST_SKIP() << "PostgreSQL is not installed";
    }
    /// On a connection of the test's own: what the first field says.
    static std::string sql(const char* text) {
        auto* const asking = PQconnectdb(server->connection().c_str());
        auto* const result = PQexec(asking, text);
        EXPECT_LE(PQresultStatus(result), PGRES_TUPLES_OK) << PQerrorMessage(asking);
        const std::string said = PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "";
        PQclear(result);
        PQfinish(asking);
        return said;
    }
    static std::string connection() {
        return server->connection() + " application_name=service options='-c client_connection_check_interval=100ms'";
    }

    static std::unique_ptr<support::postgres> server;
};
std::unique_ptr<support::postgres> Database::server;

const std::string nut = R"({"item":"nut","quantity":2,"note":null})";

TEST_F(Database, IsWaitedForAtTheStartAndStopsAfterTheApp) {
    const support::temporary_directory folder;
    const auto later = folder.path() / "later";
    service running("host=" + later.string() + " user=postgres dbname=postgres");
    const int code = running.run([&](service& its) {
        EXPECT_TRUE(its.says("not connected to the database: "));
        EXPECT_FALSE(its.is_up());
        std::filesystem::create_symlink(server->folder(), later);
        its.until_ready();
        EXPECT_EQ(its.put("/stored/7", nut).status, 201);
        EXPECT_EQ(its.put("/stored/7", nut).status, 409);
        EXPECT_EQ(its.ask(support::get("/stored/7")).body, nut + "\n");
        EXPECT_EQ(its.ask(support::get("/stored/8")).status, 404);
    });
    EXPECT_EQ(code, lifecycle::clean);
    const auto& report = running.report();
    ASSERT_EQ(report.phases.size(), 3U);
    EXPECT_EQ(report.phases[1].name, "app");
    EXPECT_EQ(report.phases[2].name, "database");
    EXPECT_THAT(report.to_json(), testing::HasSubstr(R"("database":{"returned":4,"dropped":0,"leased":0})"));
}

TEST_F(Database, AConnectionIsWaitedForAsLongAsTheRequestLasts) {
    service running(connection(), 1);
    const int code = running.run([](service& its) {
        its.until_ready();
        auto holds = its.connect();
        holds.send(support::get("/hold"));
        EXPECT_TRUE(its.has("database_leases", 1));
        EXPECT_EQ(its.ask(support::get("/stored/8", "X-Request-Timeout: 100ms\r\n")).status, 504);
        auto second = its.connect(), third = its.connect();
        second.send(support::get("/stored/8"));
        EXPECT_TRUE(its.has("database_waiting", 2)) << "the one that is late is there until its turn";
        third.send(support::get("/stored/8"));
        EXPECT_EQ(serving::answer_of(third).status, 503) << "there is no place to wait";
        holds.reset();
        EXPECT_EQ(serving::answer_of(second).status, 404) << "the client has gone, and its connection is another's";
    });
    EXPECT_EQ(code, lifecycle::clean);
}

TEST_F(Database, AStatementEndsWithItsRequest) {
    service running(connection());
    running.run([](service& its) {
        its.until_ready();
        EXPECT_EQ(its.ask(support::get("/hold", "X-Request-Timeout: 100ms\r\n")).status, 504);
        EXPECT_TRUE(its.has("database_leases", 0));
        EXPECT_TRUE(fakes::eventually([] {
            return sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'service' AND state = "
                       "'active'") == "0";
        }));
    });
}

TEST_F(Database, AConnectionThatWasClosedWhileNobodyUsedItIsNotLent) {
    service running(connection());
    const int code = running.run([](service& its) {
        its.until_ready();
        EXPECT_EQ(its.ask(support::get("/stored/8")).status, 404);
        sql("SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE application_name = 'service'");
        EXPECT_EQ(its.ask(support::get("/stored/8")).status, 404);
    });
    EXPECT_EQ(code, lifecycle::clean);
}

TEST_F(Database, OneThatIsFrozenCostsEachRequestItsTimeAndNoMore) {
    service running(connection());
    const int code = running.run([](service& its) {
        its.until_ready();
        server->freeze(true);
        for (int twice = 0; twice < 2; ++twice)
            EXPECT_EQ(its.ask(support::get("/stored/8", "X-Request-Timeout: 100ms\r\n")).status, 504);
        server->freeze(false);
        EXPECT_EQ(its.ask(support::get("/stored/8")).status, 404);
    });
    EXPECT_EQ(code, lifecycle::clean);
}

TEST_F(Database, AStopThatCutsARequestTakesItsConnectionBack) {
    auto options = fakes::process::brisk();
    options.budget = 2s;
    service running(connection(), 2, options);
    std::unique_ptr<support::client> holds;
    const int code = running.run([&](service& its) {
        its.until_ready();
        holds = std::make_unique<support::client>(its.connect());
        holds->send(support::get("/hold"));
        EXPECT_TRUE(its.has("database_leases", 1));
    });
    EXPECT_EQ(code, lifecycle::forced) << "a request was cut";
    EXPECT_EQ(serving::answer_of(*holds).status, 503);
    EXPECT_TRUE(running.report().stragglers.empty());
    EXPECT_THAT(running.report().to_json(), testing::HasSubstr(R"("database":{"returned":1,"dropped":0,"leased":0})"));
}

}  // namespace
}  // namespace make_it_yours
