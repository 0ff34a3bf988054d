#pragma once

#include <algorithm>
#include <exception>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "tests/server/serving.hpp"
#include "tests/support/process.hpp"
#include "tests/tracker/fakes.hpp"

namespace failing {

/// A server and a tracker in one, as main has them.
class house {
public:
    /// `before` its server runs it may be told what else to speak.
    explicit house(const std::function<void(server::http_server&)>& before = nullptr)
        : tracker_(settings(place_.path())) {
        died_.reserve(512);  // it is written to where there is no memory
        tracker_.workers.on_death(
            [this](const std::string& name, const char* why) { died_.append(name).append(" ").append(why); });
        tracker_.start();
        server_.emplace(routes(), limits(), before);
    }

    const serving::running& server() const { return *server_; }
    /// Drains, flushes, and says what is wrong; empty when nothing is.
    std::string faults(const std::set<std::string>& created) {
        server_->stop();
        tracker_.stop();
        std::string wrong = died_;
        if (const auto failure = server_->failure()) try {
                std::rethrow_exception(failure);
            } catch (const std::exception& e) {
                wrong += std::string(" the server has failed: ") + e.what() + ";";
            }
        const auto account = tracker_.events.account();
        if (!account.balanced() || account.queued > 0) wrong += " the account does not balance;";
        std::set<std::string> kept;
        for (const auto& batch : tracker_.sink.batches())
            for (const auto& event : batch) kept.insert(event.id);
        for (const auto& id : created)
            if (!kept.contains(id) && account.spooled == 0) wrong += " lost " + id + ";";
        return wrong;
    }

private:
    static tracker::options settings(const std::filesystem::path& place) {
        auto options = fakes::prompt();
        options.durability = tracker::durability::process;
        options.directory = place;
        return options;
    }
    static server::options limits() {
        auto options = serving::one_loop();
        options.idle_timeout = std::chrono::seconds(5);
        return options;
    }
    static serving::reply sleeps(lifecycle::context context, const server::request&) {
        const auto until = lifecycle::clock::now() + std::chrono::milliseconds(3);
        auto sleeping = lifecycle::sleep_until(context, until);  // lint: a handler waits, not the test
        co_await std::move(sleeping);
        co_return server::response(server::http::status::ok, "slept\n");
    }
    static serving::reply big(lifecycle::context, const server::request&) {
        auto piece = [](std::span<char> into) -> lifecycle::awaitable<std::size_t> {
            std::fill(into.begin(), into.end(), 'x');
            co_return into.size();
        };
        co_return server::response::stream(piece, 300'000);
    }
    static serving::reply record(tracker::event_tracker& events, lifecycle::context context,
                                 const server::request& asked) {
        tracker::event event;
        event.id = asked.header("Idempotency-Key");
        event.data = asked.body;
        auto recording = events.record(context, std::move(event));
        const auto verdict = co_await std::move(recording);
        if (verdict != tracker::verdict::accepted)
            co_return server::response(server::http::status::service_unavailable);
        co_return server::response(server::http::status::created);
    }
    server::router routes() {
        server::router made;
        made.get("/", serving::says("Hello, QCon!\n"));
        made.post("/echo", serving::echo());
        made.get("/slow", sleeps);
        made.get("/big", big);
        made.post("/events", [this](lifecycle::context context, const server::request& asked) {
            return record(tracker_.events, std::move(context), asked);
        });
        return made;
    }

    support::temporary_directory place_;
    std::string died_;
    fakes::running_tracker tracker_;
    std::optional<serving::running> server_;
};

}  // namespace failing
