// A third part that serves clients, beside the app and one more: what it takes is a line, and the stop treats all
// alike.
#include <gtest/gtest.h>

#include "tests/lifecycle/fakes.hpp"
#include "tests/server/serving.hpp"

namespace serving {
namespace {

TEST(ThirdListener, IsWaitedForAtTheStartAndDrainsWithTheOthers) {
    fakes::process process;
    gate held;
    const auto waits = [&](lifecycle::context context, const request&) -> reply {
        auto waiting = held.wait(context);
        co_await std::move(waiting);
        co_return response(http::status::ok, "served\n");
    };
    const auto app_part = process.stop.add_part("app", lifecycle::serves_clients);
    const auto second_part = process.stop.add_part("second", lifecycle::serves_clients);
    const auto third_part = process.stop.add_part("third", lifecycle::serves_clients);
    server::http_server app(one_loop(), router().get("/", waits), app_part, process.workers, process.log);
    server::http_server second(one_loop(), router().get("/", waits), second_part, process.workers, process.log);
    server::http_server third(one_loop(), router().get("/", waits), third_part, process.workers, process.log);
    const std::array all{&app, &second, &third};

    process.done.run(app_part, [&](std::stop_token token) { app.run(std::move(token)); });
    process.done.run(second_part, [&](std::stop_token token) { second.run(std::move(token)); });
    std::binary_semaphore starts{0};
    process.done.run(third_part, [&](std::stop_token token) {
        starts.acquire();
        third.run(std::move(token));
    });
    std::array<support::response, 3> answers;
    std::jthread clients([&] {
        std::vector<support::client> open;
        for (const auto* each : all) open.emplace_back(support::endpoint(each->address()), 20s, 0);
        open[0].send(get("/"));
        EXPECT_TRUE(eventually([&] { return held.entries() == 1; }));
        EXPECT_FALSE(process.stop.has_been_ready()) << "the third one does not serve yet";
        starts.release();
        EXPECT_TRUE(eventually([&] { return process.stop.is_ready(); }));
        for (const auto each : {1, 2}) open[std::size_t(each)].send(get("/"));
        EXPECT_TRUE(eventually([&] { return held.entries() == 3; }));
        process.send(SIGTERM);
        EXPECT_TRUE(eventually([&] { return process.lines->has("stopping third"); }));
        for (const auto* name : {"app", "second"})
            EXPECT_TRUE(process.lines->has(std::string("stopping ") + name)) << "all at once, though none has ended";
        held.open();
        for (std::size_t index = 0; index < 3; ++index) answers[index] = answer_of(open[index]);
    });
    lifecycle::shutdown_report seen;
    const auto account = [&](lifecycle::shutdown_report& report) {
        server::stop_account served;
        for (const auto* each : all) each->account(served);
        EXPECT_EQ(served.requests.in_flight_at_stop, 3U);
        EXPECT_EQ(served.requests.finished, 3U);
        served.add_to(report);
        seen = report;
    };
    EXPECT_EQ(process.done.wait({.account = account}), 0);
    clients.join();
    for (const auto& answer : answers) {
        EXPECT_EQ(answer.status, 200U);
        EXPECT_TRUE(answer.closes()) << "the drain says so on each port";
    }
    ASSERT_EQ(seen.phases.size(), 2U);
    EXPECT_EQ(seen.phases[1].name, "app+second+third");
}

}  // namespace
}  // namespace serving
