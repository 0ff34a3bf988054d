#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>

#include "tracker/account.hpp"
#include "tracker/backlog.hpp"
#include "tracker/event.hpp"
#include "tracker/intake.hpp"

namespace tracker {

/// The backlog without a spool: workers deliver what they take from the intake, and this is the account of it.
///
/// Its mutex is taken before the intake's and held while both count, so that the equation of the account holds at any
/// moment; never while a worker waits.
///
/// Threads: safe from any. The intake must outlive it.
class memory_backlog final : public backlog {
public:
    memory_backlog(const options& options, intake& from) : intake_(from), batch_events_(options.batch_events) {}

    /// What was given back comes before all that is in the intake.
    bool take(batch& into) override;
    void settle(const batch& taken, outcome how) override;
    void settle_part(batch& taken, std::size_t first, std::size_t count) override;
    void give_back(batch& taken) override;
    void bury(batch& taken, std::size_t index) override;

    void close() override { intake_.close(); }
    bool closed() const override { return intake_.closed(); }
    void pause_while_open(lifecycle::clock::time_point when) override { intake_.pause_while_open(when); }
    std::uint64_t queued() const override;

    /// `refused` is not known here.
    tracker::account account() const;

private:
    void count_in(std::uint64_t& column, std::uint64_t events);

    intake& intake_;
    const std::size_t batch_events_;

    mutable std::mutex mutex_;
    std::deque<event> given_back_;  ///< for the intake they are in hand
    std::uint64_t delivered_ = 0, dropped_at_deadline_ = 0, dropped_dead_letter_ = 0;
};

}  // namespace tracker
