#pragma once

#include <sqlite3.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "lifecycle/pool/run_on.hpp"
#include "lifecycle/stop_channel.hpp"

/// A file of SQLite, whose one connection has one worker. A part.
class store {
public:
    using row = std::vector<std::string>;

    /// Throws when the file cannot be had.
    store(const std::string& file, lifecycle::workers& workers, spdlog::logger& log, const lifecycle::part& part)
        : jobs_({.name = part.name(), .workers = 1, .capacity = 256}, workers, log, part) {
        sqlite3* opened = nullptr;
        sqlite3_open(file.c_str(), &opened);
        connection_.reset(opened);
        query("PRAGMA journal_mode = WAL", {});
        query(
            "CREATE TABLE IF NOT EXISTS links (code TEXT PRIMARY KEY, url TEXT NOT NULL, visits INTEGER NOT NULL "
            "DEFAULT 0)",
            {});
    }
    void run(std::stop_token stop) { jobs_.run(std::move(stop)); }

    /// The first row; empty without one. Errors: as of run_on; throws when the database says no.
    auto ask(lifecycle::context context, const char* sql, std::string value) {
        return lifecycle::run_on(
            jobs_, std::move(context), "query",
            [this, sql, value = std::move(value)](const std::stop_token&) { return query(sql, value); });
    }

private:
    struct end {
        void operator()(sqlite3* connection) const noexcept { sqlite3_close(connection); }
        void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
    };

    row query(const char* sql, const std::string& value) {
        sqlite3_stmt* prepared = nullptr;
        sqlite3_prepare_v2(connection_.get(), sql, -1, &prepared, nullptr);
        const std::unique_ptr<sqlite3_stmt, end> statement(prepared);
        sqlite3_bind_text(prepared, 1, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
        row found;
        int code = sqlite3_step(prepared);
        for (int nth = 0; code == SQLITE_ROW && nth < sqlite3_column_count(prepared); ++nth)
            found.emplace_back(reinterpret_cast<const char*>(sqlite3_column_text(prepared, nth)));
        while (code == SQLITE_ROW) code = sqlite3_step(prepared);
        if (code != SQLITE_DONE) throw std::runtime_error(sqlite3_errmsg(connection_.get()));
        return found;
    }

    std::unique_ptr<sqlite3, end> connection_;
    lifecycle::pool jobs_;
};
