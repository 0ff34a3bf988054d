#include "cmd/service/trace/tracing.hpp"

#include <exception>
#include <utility>

#include "cmd/service/trace/route.hpp"
#include "cmd/service/trace/session.hpp"
#include "server/connection.hpp"

namespace trace {
namespace {

using lifecycle::clock;

/// What a stop waits at most for a trace to be written, when all else has ended.
constexpr std::chrono::milliseconds last_words{100};

/// A sink whose deliveries are noted.
class traced_sink final : public tracker::sink {
public:
    traced_sink(std::unique_ptr<tracker::sink> inner, tracker::deadline_function deadline, std::shared_ptr<session> to)
        : inner_(std::move(inner)), deadline_(std::move(deadline)), session_(std::move(to)) {}

    void deliver(std::span<const tracker::event> batch) override {
        if (!session_->events.on()) return inner_->deliver(batch);
        record made{};
        made.what = record::kind::batch;
        made.since = clock::now();
        made.events = batch.size();
        made.name = inner_->name();
        try {
            inner_->deliver(batch);
        } catch (const std::exception& e) {
            note(made, e.what());
            throw;
        } catch (...) {
            note(made, "failed");
            throw;
        }
        note(made, {});
    }

    void sync() override { inner_->sync(); }
    void finish() noexcept override {
        inner_->finish();
        session_->finish(std::min(clock::now() + last_words, deadline_()));
    }
    void reopen() override { inner_->reopen(); }
    void apply(const tracker::options& fresh) override { inner_->apply(fresh); }
    std::string_view name() const noexcept override { return inner_->name(); }
    std::uint32_t copies() const noexcept override { return inner_->copies(); }
    void prepare() override { inner_->prepare(); }
    bool readable() const noexcept override { return inner_->readable(); }
    std::map<std::string_view, std::uint64_t> disk_errors() const override { return inner_->disk_errors(); }

private:
    void note(record& made, std::string_view failure) {
        made.until = clock::now();
        made.detail = failure;
        session_->events.add(made);
    }

    const std::unique_ptr<tracker::sink> inner_;
    const tracker::deadline_function deadline_;
    const std::shared_ptr<session> session_;
};

record seen_on(const server::connection& connection, server::http::status status, bool handled) {
    record made{};
    made.what = handled ? record::kind::handler : record::kind::request;
    made.of = &connection;
    made.status = static_cast<unsigned>(status);
    made.since = connection.since();
    made.until = clock::now();
    const auto name = connection.describe();
    made.name = name == "connection" ? "no route" : name;
    made.detail = connection.target();
    made.context = connection.trace_id();
    return made;
}

/// Not in line: as long as nobody traces, a request pays for a look at a flag and nothing else.
[[gnu::noinline]] void note(session& to, const server::connection& connection, server::http::status status,
                            bool handled) {
    to.events.add(seen_on(connection, status, handled));
}

}  // namespace
}  // namespace trace

using trace::session;

tracing::tracing() : session_(std::make_shared<session>()) {}

tracker::sink_makers tracing::around(tracker::sink_makers makers) const {
    for (auto& [name, make] : makers)
        make = [inner = std::move(make), to = session_](const tracker::options& options, spdlog::logger& log,
                                                        tracker::deadline_function deadline) {
            return std::make_unique<trace::traced_sink>(inner(options, log, deadline), deadline, to);
        };
    return makers;
}

server::router tracing::around(server::router of_app) const {
    of_app.observe = [to = session_](const server::connection& connection, server::http::status status, bool handled) {
        if (to->events.on()) [[unlikely]]
            trace::note(*to, connection, status, handled);
    };
    return of_app;
}

server::router tracing::around(server::router of_debug, const server::debug_sources& from) const {
    of_debug.get("/debug/trace", trace::route(session_, from));
    return of_debug;
}
