#include "tracker/earlier_runs.hpp"

#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>

#include "tracker/spool/segment_set.hpp"
#include "tracker/spool/stranded.hpp"

namespace tracker {
namespace {

options for_a_spool(options options) {
    // A spool is opened only to be emptied, which does not depend on what new events are promised.
    if (options.durability == durability::memory) options.durability = durability::process;
    return options;
}

}  // namespace

earlier_runs::earlier_runs(const options& options, sink& sink, spdlog::logger& log, deadline_function deadline,
                           disk* other)
    : options_(for_a_spool(options)),
      delivers_(options.durability == durability::memory),
      sink_(sink),
      log_(log),
      deadline_(std::move(deadline)),
      files_(other != nullptr ? *other : real_) {}

void earlier_runs::work() {
    if (closed_) return;
    const auto cancelled = [this] { return closed_.load(); };
    // Also where this run delivers: it looks in places where no spool does.
    stranded_ = find_stranded(options_, log_, files_, cancelled);
    if (!delivers_ || !may_have_left_events()) return;
    try {
        if (!open_spool()) return;
    } catch (const std::exception& failure) {
        stranded_ += count_stranded_spool(options_, log_, files_, failure.what(), cancelled);
        return;
    }
    delivery_->work();
    spool_->finish();
}

/// Where the disk does not say it, the spool looks as long as it has to, and is not readable until it has.
bool earlier_runs::may_have_left_events() {
    try {
        return !sets_in(std::filesystem::path(options_.directory) / "spool", files_).empty();
    } catch (const std::system_error&) {
        return true;
    }
}

/// Its own set stays empty: nothing is appended.
bool earlier_runs::open_spool() {
    auto opened = std::make_unique<spool>(options_, log_, &files_);
    opened->before_removal([this] { sink_.sync(); });
    const std::scoped_lock lock(mutex_);
    if (closed_) return false;
    spool_ = std::move(opened);
    delivery_ = std::make_unique<delivery>(options_, spool_->of_sink(0), sink_, log_, deadline_);
    return true;
}

void earlier_runs::close() {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    if (spool_) spool_->close();
}

void earlier_runs::add_to(account& account, bool over) const {
    const std::scoped_lock lock(mutex_);
    if (!spool_) return;
    const auto more = spool_->account();
    account.recovered += more.recovered;
    account.delivered += more.delivered;
    for (const auto& [reason, events] : more.dropped) account.dropped[reason] += events;
    // While it runs they wait; at the end they are the next run's.
    (over ? account.spooled : account.queued) += more.queued;
}

std::uint64_t earlier_runs::waiting() const {
    const std::scoped_lock lock(mutex_);
    return delivery_ ? delivery_->waiting() : 0;
}

bool earlier_runs::healthy() const {
    const std::scoped_lock lock(mutex_);
    return !delivery_ || delivery_->healthy();
}

bool earlier_runs::readable() const {
    const std::scoped_lock lock(mutex_);
    return !spool_ || (spool_->readable() && delivery_->can_bury());
}

std::map<std::string_view, std::uint64_t> earlier_runs::disk_errors() const {
    auto all = files_.failures();  // those of its spool are among them
    const std::scoped_lock lock(mutex_);
    if (!delivery_) return all;
    for (const auto& [call, times] : delivery_->disk_errors()) all[call] += times;
    return all;
}

}  // namespace tracker
