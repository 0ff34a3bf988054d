// A connection that becomes something else than HTTP/1.1: what its session is told, and what the account says of it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "server/session.hpp"
#include "tests/server/serving.hpp"

namespace serving {
namespace {

using poll = server::poll_set;

/// Sends back what comes, until the client or the drain ends it.
class echo final : public server::session {
public:
    explicit echo(server::wire on) : wire_(on) {}

    void begin(server::handover from, const server::moment& at) override {
        work_ = std::move(from.work);
        out_ = from.bytes;
        counted_ = from.counted;
        seen_.served = from.served;
        seen_.state = server::connection_state::streaming;
        seen_.since = at.now;
        seen_.worked_during_stop = from.worked_during_stop;
        limits_ = work_->limits;
    }
    poll::rest ready(const server::moment&) override {
        char bytes[256];
        const auto [how, count] = wire_.read(bytes);
        if (how == server::transfer_end::done) out_.append(bytes, count);
        gone_ = how == server::transfer_end::ended;
        return poll::rest::unknown;
    }
    void tick(const server::drain_view& drain, const server::moment&) override { over_ = over_ || drain.draining; }
    void make_room(char, const server::moment&) override {}
    void cut(const server::moment&) override { gone_ = true; }
    void stop_begins() noexcept override { seen_.worked_during_stop = true; }
    next proceed(const server::moment&) override {
        while (!gone_ && !out_.empty()) {
            const auto [how, count] = wire_.write(out_);
            if (how == server::transfer_end::would_block) break;
            gone_ = how == server::transfer_end::ended;
            out_.erase(0, count);
        }
        if (gone_ || over_) return next::close;
        wire_.watch(out_.empty() ? poll::interest::read : poll::interest::both);
        return next::wait;
    }
    void end() noexcept override {
        if (std::exchange(counted_, false)) wire_.account_for({.finished = over_ ? 1U : 0U, .gone = over_ ? 0U : 1U});
        if (work_) wire_.workspaces().give_back(std::move(work_));
    }
    std::string_view protocol() const noexcept override { return "echo"; }
    const server::options& limits() const noexcept override { return *limits_; }
    void each(visitor&) override {}

private:
    server::wire wire_;
    std::unique_ptr<server::workspace> work_;
    std::shared_ptr<const server::options> limits_;
    std::string out_;
    bool counted_ = false, gone_ = false, over_ = false;
};

router with_echo() {
    const auto change = [](const lifecycle::context&, const request&) {
        return std::move(
            response(http::status::switching_protocols).set("Upgrade", "echo").set("Connection", "Upgrade"));
    };
    return std::move(router().get("/echo", change).becomes([](server::wire on) -> std::unique_ptr<server::session> {
        return std::make_unique<echo>(on);
    }));
}

TEST(Session, GoesOnWithTheBytesBehindTheUpgrade) {
    const running app(with_echo());
    auto client = app.connect();
    client.send(get("/echo") + "what is behind it");
    const auto answer = answer_of(client);
    EXPECT_EQ(answer.status, 101);
    EXPECT_EQ(answer.header("Upgrade"), "echo");
    client.send(", and more");
    client.finish_sending();
    EXPECT_EQ(client.receive_to_end(), "what is behind it, and more");
}

TEST(Session, ItsRouteKnowsEachLoopBeforeAnyServes) {
    int known = 0;
    auto routes = with_echo();
    routes.becomes({}, [&known](server::host&, boost::asio::io_context&) { ++known; });
    auto options = one_loop();
    options.threads = 3;
    const running app(std::move(routes), options);
    EXPECT_EQ(known, 3);
}

TEST(Session, IsToldOfTheDrainAndItsRequestEndsInTheAccount) {
    running app(with_echo());
    auto client = app.connect();
    ASSERT_EQ(ask_on(client, get("/echo")).status, 101);
    app.stop();
    server::stop_account report;
    app.server().account(report);
    EXPECT_EQ(report.connections.open_at_stop, 1);
    EXPECT_EQ(report.connections.finished, 1);
    EXPECT_EQ(report.requests.in_flight_at_stop, 1);
    EXPECT_EQ(report.requests.finished, 1);
    EXPECT_EQ(client.receive_to_end(), "");
}

}  // namespace
}  // namespace serving
