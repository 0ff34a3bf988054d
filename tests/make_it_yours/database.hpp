#pragma once

// The pool of connections to PostgreSQL that docs/make-it-yours.md shows, whole: a service copies it.

// [database]
#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>
#include <spdlog/logger.h>

#include <boost/system/system_error.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include "lifecycle/lines.hpp"
#include "lifecycle/pool/run_on.hpp"
#include "lifecycle/stop_channel.hpp"
#include "server/metrics.hpp"

/// A PostgreSQL. A handler lends itself one of a fixed number of connections, each with a worker that waits for the
/// server, so that no loop does. To wait for a connection and for what is asked on it ends with the request's context.
///
/// A part: `run` on a thread of its own, added behind the tracker and in front of the app. Everything else is safe from
/// any thread.
class database {
public:
    struct options {
        std::string connection;       ///< as libpq reads it: "host=db dbname=orders"; empty: there is none
        std::size_t connections = 4;  ///< at a time
        std::size_t waiting = 256;    ///< requests that wait for one; above, it is an error at once
        std::chrono::milliseconds connect_timeout{5'000};
    };
    using value = std::optional<std::string>;  ///< none: NULL
    using rows = std::vector<std::vector<value>>;

    /// A connection, lent to one job; blocks its worker.
    class session {
    public:
        /// Throws boost::system::system_error when there is no answer, std::runtime_error when it is one that says no.
        rows query(const std::string& sql, const std::vector<value>& values = {}) {
            std::vector<const char*> texts;
            for (const auto& each : values) texts.push_back(each ? each->c_str() : nullptr);
            auto* const to = connection_.get();
            bool well = PQsendQueryParams(to, sql.c_str(), static_cast<int>(texts.size()), nullptr, texts.data(),
                                          nullptr, nullptr, 0) == 1;
            for (int left = 1; well && (left = PQflush(to)) != 0; well = left == 1 && PQconsumeInput(to) == 1)
                wait(POLLIN | POLLOUT);
            result last;
            while (well) {
                for (; well && PQisBusy(to) == 1; well = PQconsumeInput(to) == 1) wait(POLLIN);
                result next(well ? PQgetResult(to) : nullptr);
                if (!next) break;
                last = std::move(next);
            }
            if (!well || !last || PQstatus(to) != CONNECTION_OK) fail();
            return rows_of(*last);
        }

    private:
        friend class database;
        struct finish {
            void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
            void operator()(PGresult* result) const noexcept { PQclear(result); }
        };
        using result = std::unique_ptr<PGresult, finish>;
        using connection = std::unique_ptr<PGconn, finish>;

        session(database& from, std::function<bool()> over) : from_(from), over_(std::move(over)) {
            if (from_.options_.connection.empty()) fail();
            if (!from_.take_idle(connection_)) connect();
        }
        ~session() { from_.give_back(std::move(connection_)); }

        void connect() {
            until_ = lifecycle::clock::now() + from_.options_.connect_timeout;
            connection_.reset(PQconnectStart(from_.options_.connection.c_str()));
            auto* const to = connection_.get();
            auto next = PQstatus(to) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
            for (; next != PGRES_POLLING_OK; next = PQconnectPoll(to)) {
                if (next == PGRES_POLLING_FAILED) fail();
                wait(next == PGRES_POLLING_READING ? POLLIN : POLLOUT);
            }
            PQsetnonblocking(to, 1);
            until_ = lifecycle::clock::time_point::max();
        }
        /// That the request is over, or a stop has no more time, is seen within 20 ms. Then the connection is closed,
        /// by which the server knows too: PQcancel would connect, and block.
        void wait(int events) const {
            pollfd socket{PQsocket(connection_.get()), static_cast<short>(events), 0};
            while (::poll(&socket, 1, 20) <= 0) {
                if (over_() || lifecycle::clock::now() >= until_)
                    throw boost::system::system_error(make_error_code(boost::system::errc::timed_out));
            }
        }
        [[noreturn]] void fail() const {
            const std::string why = connection_ ? PQerrorMessage(connection_.get()) : "there is none";
            throw boost::system::system_error(make_error_code(boost::system::errc::not_connected),
                                              why.substr(0, why.find('\n')));
        }
        static rows rows_of(const PGresult& from) {
            const auto status = PQresultStatus(&from);
            if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
                throw std::runtime_error(PQresultErrorMessage(&from));
            rows all(static_cast<std::size_t>(PQntuples(&from)));
            for (int row = 0; row < PQntuples(&from); ++row)
                for (int column = 0; column < PQnfields(&from); ++column) {
                    auto& to = all[static_cast<std::size_t>(row)].emplace_back();
                    if (PQgetisnull(&from, row, column) == 0) to = PQgetvalue(&from, row, column);
                }
            return all;
        }

        database& from_;
        const std::function<bool()> over_;
        connection connection_;
        lifecycle::clock::time_point until_ = lifecycle::clock::time_point::max();
    };

    database(options how, lifecycle::workers& workers, spdlog::logger& log, const lifecycle::part& part)
        : options_(std::move(how)),
          log_(log),
          part_(part),
          jobs_({.name = part.name(), .workers = options_.connections, .capacity = options_.waiting}, workers, log,
                part) {}

    /// The part is up with the first connection; until there is one it tries again.
    void run(const std::stop_token& stop) {
        if (options_.connection.empty()) part_.up();
        for (std::string said; !options_.connection.empty() && !stop.stop_requested();) {
            try {
                const session first(*this, [&stop] { return stop.stop_requested(); });
                part_.up();
                break;
            } catch (const boost::system::system_error& error) {
                if (said != error.what())
                    lifecycle::lines(log_).warn("not connected to the database: {error}", error.what());
                said = error.what();
            }
            std::unique_lock lock(mutex_);
            asked_.wait_for(lock, stop, std::chrono::milliseconds(100), [] { return false; });
        }
        jobs_.run(stop);
        const std::scoped_lock lock(mutex_);
        idle_.clear();
    }

    /// Lends `work(session&)` a connection, and goes on with what it returns on the caller's loop. What `work` uses is
    /// captured by value. Errors: as of lifecycle::run_on, and `not_connected`. Throws what SQL is at fault for.
    template <class F>
    lifecycle::awaitable<boost::system::result<std::invoke_result_t<F&, session&>>> with(
        lifecycle::context context, std::string what, F work,
        std::source_location where = std::source_location::current()) {
        using answer = boost::system::result<std::invoke_result_t<F&, session&>>;
        auto job = [this, context, work = std::move(work)](const std::stop_token& token) mutable {
            session lent(*this, [&] { return context.done() || token.stop_requested(); });
            return work(lent);
        };
        try {
            auto running = lifecycle::run_on(jobs_, context, std::move(what), std::move(job), where);
            auto made = co_await std::move(running);
            co_return made;
        } catch (const boost::system::system_error& error) {
            lifecycle::lines(log_).warn("no answer of the database: {error}", error.what());
            co_return answer(boost::system::in_place_error, error.code());
        }
    }

    void write_metrics(server::metrics_text& out) const {
        const auto now = jobs_.now();
        out.single("database_leases", "gauge", "Connections that are lent.", static_cast<double>(now.running));
        out.single("database_waiting", "gauge", "Requests that wait for one.", static_cast<double>(now.queued));
        out.single("database_refused_total", "counter", "Requests that found no place to wait.",
                   static_cast<double>(now.refused));
    }
    /// Leases that have come back, were never had, or are still out: what has one is a straggler.
    void fill_in(lifecycle::shutdown_report& report) const {
        const auto now = jobs_.now();
        report.sections.push_back({"database", fmt::format(R"({{"returned":{},"dropped":{},"leased":{}}})",
                                                           now.done + now.failed, now.dropped, now.running)});
        for (auto& late : jobs_.stragglers()) report.stragglers.push_back(std::move(late));
    }

private:
    /// One that has something to say while nobody asks has been closed, most likely.
    bool take_idle(session::connection& into) {
        const std::scoped_lock lock(mutex_);
        while (!idle_.empty()) {
            into = std::move(idle_.back());
            idle_.pop_back();
            pollfd socket{PQsocket(into.get()), POLLIN, 0};
            if (::poll(&socket, 1, 0) == 0) return true;
        }
        return false;
    }
    /// One in the middle of a transaction or an answer cannot be lent again.
    void give_back(session::connection lent) {
        if (!lent || PQtransactionStatus(lent.get()) != PQTRANS_IDLE) return;
        const std::scoped_lock lock(mutex_);
        idle_.push_back(std::move(lent));
    }

    const options options_;
    spdlog::logger& log_;
    const lifecycle::part part_;
    lifecycle::pool jobs_;
    std::mutex mutex_;
    std::condition_variable_any asked_;
    std::vector<session::connection> idle_;
};
// [/database]
