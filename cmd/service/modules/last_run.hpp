#pragma once

#include <memory>
#include <optional>
#include <thread>

#include "cmd/service/last_run/run_marker.hpp"
#include "cmd/service/module.hpp"

/// How the run before ended, and how far this one has come.
class last_run_module final : public service_module {
public:
    explicit last_run_module(const module_start& start)
        : directory_(start.settings.values.tracker.directory),
          follows_(start.follows_another),
          workers_(start.workers),
          log_(*start.log.logger) {}

    void made(const service_parts& parts) override {
        events_ = &parts.events;
        marker_.emplace(directory_, follows_);  // the tracker has made the directory
        if (!marker_->previous_story().empty()) log_.warn(marker_->previous_story());
    }
    void look_at(server::debug_sources& from) override {
        from.previous_run = [this] { return marker_ ? marker_->previous_note() : std::string(); };
    }
    std::string previous_exit() const override { return marker_ ? marker_->previous_kind() : std::string(); }
    std::shared_ptr<void> watch() override {
        if (!marker_->waits()) return nullptr;
        return std::make_shared<std::jthread>(
            workers_.start("last-run-note", "worker", [this](const auto& token) { marker_->take_over(token); }));
    }
    void progress(const lifecycle::stop_channel::status& status) override {
        marker_->phase(status, events_->account());
    }
    void ended(const lifecycle::shutdown_report& report) override { marker_->ended(report); }

private:
    const std::string directory_;
    const bool follows_;
    lifecycle::workers& workers_;
    spdlog::logger& log_;
    tracker::event_tracker* events_ = nullptr;
    std::optional<run_marker> marker_;
};
