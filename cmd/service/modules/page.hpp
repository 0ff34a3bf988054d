#pragma once

#include <memory>
#include <optional>
#include <thread>

#include "cmd/service/module.hpp"
#include "server/admin/page/page.hpp"

/// What a browser sees at /debug/.
class page_module final : public service_module {
public:
    explicit page_module(const module_start& start) : workers_(start.workers), log_(*start.log.logger) {}

    void look_at(server::debug_sources& from) override {
        from.page = [this](const auto&, std::string_view index) { return page_->html(index); };
        from.index += "/debug/history       the last two minutes, as the page shows them, ?since=N\n";
        from.index += "/debug/outcome       waits until a stop is over, and says how it went\n";
    }
    void add_debug_routes(server::router& routes, const server::debug_sources& from) override {
        page_.emplace(from);
        page_->add_routes(routes);
    }
    void equip(std::string_view name, server::http_server& server) override {
        if (name == "debug") server.before_it_closes([this] { page_->last_words(); });
    }
    std::shared_ptr<void> watch() override {
        return std::make_shared<std::jthread>(
            workers_.start("page-history", "worker", [this](const auto& token) { page_->keep_history(token, log_); }));
    }

private:
    lifecycle::workers& workers_;
    spdlog::logger& log_;
    std::optional<server::live_page> page_;
};
