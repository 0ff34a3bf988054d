#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lifecycle/context.hpp"
#include "tracker/backlog.hpp"
#include "tracker/backoff.hpp"
#include "tracker/dead_letters.hpp"
#include "tracker/failure_log.hpp"
#include "tracker/options.hpp"
#include "tracker/sieve.hpp"
#include "tracker/sink.hpp"

namespace spdlog {
class logger;
}

namespace tracker {

/// What the workers of a sink do: take batches from the backlog and bring them to the sink until that succeeds, or
/// until the flush deadline has passed. Nothing is tried after that, and the backlog is closed.
///
/// What a sink refuses goes in parts, until it is known which events are dead letters; what has been delivered or
/// buried meanwhile is settled at once. Each of that is progress: the pauses begin again from `retry_initial`.
///
/// All workers share one; deliveries to the sink are serialised. Everything it is given must outlive it.
class delivery {
public:
    /// `other`: a disk for tests, for its dead letters.
    delivery(const options& options, backlog& backlog, sink& sink, spdlog::logger& log, deadline_function deadline,
             disk* other = nullptr);

    /// A worker's whole life: blocks until the backlog is closed and empty, then the account has every
    /// event in its last column. On a worker's thread.
    void work();

    /// False from the first failure of a delivery to the next success. An event that is refused while others are taken
    /// is no failure of the sink. Safe from any thread.
    bool healthy() const noexcept { return !failing_.failing(); }
    /// False while a dead letter waits for a disk that fails. Safe from any thread.
    bool can_bury() const noexcept { return letters_.usable(); }
    /// Calls that the disk of the dead letters has failed. Safe from any thread.
    std::map<std::string_view, std::uint64_t> disk_errors() const { return letters_.disk_errors(); }
    std::string_view name() const noexcept { return sink_.name(); }
    std::uint32_t copies() const noexcept { return sink_.copies(); }
    std::uint64_t waiting() const { return backlog_.queued(); }  ///< safe from any thread

private:
    /// What one worker has learned of the sink, from batch to batch.
    struct course {
        explicit course(const options& options);
        tracker::sieve sieve;
        tracker::backoff backoff;
        bool in_stop = false;
    };
    enum class result : std::uint8_t { delivered, failed, rejected, refused };
    struct answer {
        result what = result::failed;
        std::string reason = {};
        bool of_the_events = false;              ///< of refused
        std::vector<std::size_t> rejected = {};  ///< in the part that was tried
    };
    enum class end : std::uint8_t { delivered, given_back, given_up };

    bool given_up() const;
    void prepare(course& course);
    bool take(batch& into);
    end deliver_in_spite_of_memory(batch& batch, course& course);
    void settle(const batch& taken, outcome how);
    bool give_back(batch& taken);
    end deliver(batch& batch, course& course);
    end give_up();
    answer try_once(std::span<const event> part);
    sieve::step refused(const answer& answer, const sieve::part& part, const batch& batch, course& course);
    bool bury(batch& batch, std::size_t rejected, course& course);
    bool write_letter(const event& letter, course& course);
    void note_letter(const dead_letters::outcome& outcome);
    void pause(course& course);
    void note_stop(course& course);
    void pause_for(std::chrono::milliseconds length, bool in_stop);
    void note_failure(std::string_view reason);
    void note_success();

    const options options_;
    dead_letters letters_;
    backlog& backlog_;
    sink& sink_;
    spdlog::logger& log_;
    const deadline_function deadline_;

    std::mutex delivering_;  ///< one worker at the sink; guards what follows
    failure_log failing_, failing_letters_;
};

}  // namespace tracker
