#pragma once

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "cmd/service/module.hpp"
#include "cmd/service/telemetry/pipeline.hpp"
#include "cmd/service/telemetry/receiver.hpp"
#include "server/metrics.hpp"

/// Spans, metrics and log records go to an OTLP receiver, where the settings or the variables of OpenTelemetry name
/// one. Without one nothing of this is there.
class telemetry_module final : public service_module {
public:
    explicit telemetry_module(const module_start& start) : stop_(start.stop), log_(*start.log.logger) {
        const auto& options = start.settings.values.telemetry;
        auto made = telemetry::make_plan(options, telemetry::variable_of_process);
        telemetry::say(made, log_);
        if (!made) return;
        require_budget(start.settings.values);
        part_ = start.stop.add_part("telemetry", options.flush);
        pipeline_ = std::make_unique<telemetry::pipeline>(std::move(made), options, *part_, log_, telemetry::receiver);
        if (options.log_level != "off") log_.sinks().push_back(pipeline_->logs());
    }

    static void check(const configs::loaded& settings) {
        const auto made = telemetry::make_plan(settings.values.telemetry, telemetry::variable_of_process);
        if (made) require_budget(settings.values);
    }

    void wrap_sinks(tracker::sink_makers& makers) override {
        if (pipeline_) makers = telemetry::observed(std::move(makers), pipeline_->others());
    }
    std::shared_ptr<server::call_observer> call_observer() override {
        return pipeline_ ? pipeline_->others() : nullptr;
    }
    void equip(std::string_view name, server::http_server& server) override {
        if (pipeline_ && name == "app") server.observe_by([this](std::size_t) { return pipeline_->observer(); });
    }
    void look_at(server::debug_sources& from) override { metrics_ = from.metrics; }
    void made(const service_parts& parts) override {
        if (!pipeline_) return;
        pipeline_->measure_by([&app = parts.app, others = metrics_] {
            server::metrics_text out;
            app.write_metrics(out);
            others(out);
            server::write_process_metrics(out);
            return out.take();
        });
    }
    void run_parts(lifecycle::done_collector& done) override {
        if (pipeline_) done.run(*part_, [this](std::stop_token token) { pipeline_->run(std::move(token)); });
    }
    void write_metrics(server::metrics_text& out) const override {
        if (pipeline_) pipeline_->write_metrics(out);
    }
    void ended(const lifecycle::shutdown_report& report) override {
        constexpr std::chrono::milliseconds for_the_rest{30};
        if (!pipeline_) return;
        const auto left = std::max(stop_.now().left - for_the_rest, std::chrono::milliseconds(0));
        pipeline_->finish(report.to_json(), report.exit_code != 0, lifecycle::clock::now() + left);
    }

private:
    static void require_budget(const configs::config& config) {
        const auto& stop = config.shutdown;
        const auto least = stop.lame_duck + stop.idle_grace + stop.flush + config.telemetry.flush;
        if (stop.budget >= least) return;
        throw std::runtime_error(
            "shutdown.budget is too short for shutdown.lame_duck, shutdown.idle_grace, "
            "shutdown.flush and telemetry.flush: allowed is at least " +
            std::to_string(least.count()) + "ms");
    }

    lifecycle::stop_channel& stop_;
    spdlog::logger& log_;
    std::optional<lifecycle::part> part_;
    std::unique_ptr<telemetry::pipeline> pipeline_;
    std::function<void(server::metrics_text&)> metrics_;
};
