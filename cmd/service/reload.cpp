#include "cmd/service/reload.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cassert>
#include <utility>

#include "lifecycle/lines.hpp"

namespace json = boost::json;
using namespace std::chrono_literals;
using server::http::status;

namespace {

server::response as_json(status code, const json::object& body) {
    return server::response(code, json::serialize(body) + '\n', "application/json");
}

}  // namespace

settings_in_force::settings_in_force(configs::loaded start, const configs::command& line)
    : line_(line), now_(std::make_shared<const configs::loaded>(std::move(start))) {}

std::shared_ptr<const configs::loaded> settings_in_force::now() const {
    const std::scoped_lock lock(mutex_);
    return now_;
}

server::response settings_in_force::reload() {
    assert(to_ && "connect comes first");
    const std::scoped_lock one_at_a_time(reloading_);
    // Before the settings are read: SIGHUP is also how logrotate(8) says that a file has been moved, and faulty
    // settings must not keep that from being heard.
    to_->events.reopen();
    to_->reload_others();
    const auto variables = configs::environment_of(environ);
    const auto fresh = configs::load_again(line_, variables);
    if (!fresh.faults.empty()) return refuse(status::unprocessable_entity, fresh.faults);
    for (const auto& warning : fresh.warnings)
        if (std::ranges::count(now()->warnings, warning) == 0) to_->log.warn(warning);
    const auto next = configs::reloaded(*now(), fresh, variables);
    if (!next.faults.empty()) return refuse(status::unprocessable_entity, next.faults);
    if (to_->stop.stopping()) {  // it has overtaken this, and nobody has done anything wrong
        lifecycle::lines(to_->log).info("reload refused: {error}", "the service is stopping");
        return as_json(status::conflict, {{"result", "refused"}});
    }
    json::array waiting;
    for (const auto& change : configs::changes(next.values, fresh.values)) {
        lifecycle::lines(to_->log).warn("reload: {setting} stays {before}: {after} needs a restart", change.key,
                                        change.before, change.after);
        waiting.push_back({{"key", change.key}, {"in_force", change.before}, {"asked", change.after}});
    }
    auto told = apply(next);
    told["needs_restart"] = std::move(waiting);
    return as_json(status::ok, told);
}

server::response settings_in_force::refuse(status code, const std::vector<std::string>& faults) {
    ++refused_;
    for (const auto& fault : faults)
        lifecycle::lines(to_->log).error("reload refused, the settings stay as they are: {error}", fault);
    return as_json(code, {{"result", "refused"}, {"faults", json::value_from(faults)}});
}

/// What differs, as JSON. New work sees it from here on.
json::object settings_in_force::apply(const configs::loaded& next) {
    json::array changed;
    for (const auto& change : configs::changes(now()->values, next.values)) {
        lifecycle::lines(to_->log).info("reload: {setting} is {after}, was {before} ({place})", change.key,
                                        change.after, change.before, next.origin.at(change.key));
        changed.push_back({{"key", change.key}, {"before", change.before}, {"after", change.after}});
    }
    if (!changed.empty()) {
        to_->app.apply(next.values.app);
        to_->events.apply(next.values.tracker);
        ++generation_;
    }
    to_->log.set_level(spdlog::level::from_str(next.values.log.level));
    {
        const std::scoped_lock lock(mutex_);
        now_ = std::make_shared<const configs::loaded>(next);
    }
    ++applied_;
    lifecycle::lines(to_->log).info("reloaded: {settings} settings have changed", changed.size());
    return {{"result", "applied"}, {"generation", generation_.load()}, {"changed", std::move(changed)}};
}

lifecycle::awaitable<server::response> settings_in_force::post(lifecycle::context context) {
    const bool stopping = to_->stop.stopping();
    if (stopping || (posted_.valid() && posted_.wait_for(0s) != std::future_status::ready)) {
        lifecycle::lines(to_->log).info("reload refused: {error}",
                                        stopping ? "the service is stopping" : "another is under way");
        co_return as_json(status::conflict, {{"result", "refused"}});
    }
    // A worker reads the files: a disk that hangs must not hold up this loop.
    auto work = std::make_shared<std::packaged_task<server::response()>>([this] { return reload(); });
    const auto done = posted_ = work->get_future();
    worker_ = to_->workers.start("reload", "worker", [work](std::stop_token) { (*work)(); });
    while (done.wait_for(0s) != std::future_status::ready) {
        auto sleeping = lifecycle::sleep_until(context, lifecycle::clock::now() + 2ms);
        const bool slept = co_await std::move(sleeping);
        if (!slept) co_return server::problem(status::gateway_timeout);
    }
    co_return done.get();
}

void settings_in_force::finish() {
    // One that hangs is left to the report, which names it.
    if (worker_.joinable() && posted_.wait_for(250ms) == std::future_status::ready) worker_.join();
}

void settings_in_force::write_metrics(server::metrics_text& out) const {
    const auto number = [](const auto& n) { return static_cast<double>(n.load()); };
    out.family("config_reloads_total", "counter", "Reloads of the settings, by what came of them.");
    out.sample(server::label("result", "applied"), number(applied_));
    out.sample(server::label("result", "refused"), number(refused_));
    out.single("config_generation", "gauge", "Which snapshot of the settings is in force.", number(generation_));
}
