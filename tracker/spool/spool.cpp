#include "tracker/spool/spool.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <stdexcept>
#include <system_error>
#include <utility>

#include "tracker/spool/adoption.hpp"
#include "tracker/spool/appender.hpp"
#include "tracker/spool/cursor.hpp"
#include "tracker/spool/state.hpp"

namespace tracker {

struct spool::parts {
    parts(const options& options, spdlog::logger& log, disk* other)
        : state(options, log, other), adopting(state), appending(state, cursors) {
        try {
            appending.begin();
        } catch (const std::system_error& error) {
            throw std::runtime_error(
                fmt::format("tracker.directory '{}': the spool cannot be made: {}; make it writable for this user or "
                            "name another directory",
                            options.directory, error.code().message()));
        }
        for (std::size_t sink = 0; sink < options.sinks.size(); ++sink)
            cursors.push_back(std::make_unique<cursor>(state, adopting, sink));
    }

    spool_state state;
    adoption adopting;
    std::vector<std::unique_ptr<cursor>> cursors;
    appender appending;
    bool finished = false;
};

spool::spool(const options& options, spdlog::logger& log, disk* other)
    : parts_(std::make_unique<parts>(options, log, other)) {}

spool::~spool() { finish(); }

verdict spool::append(std::span<const event> events) { return parts_->appending.append(events); }
void spool::probe() { parts_->appending.probe(); }
void spool::lose(std::uint64_t events, verdict why) { parts_->appending.lose(events, why); }
bool spool::writable() const noexcept { return parts_->appending.writable(); }

bool spool::readable() const { return parts_->state.readable(); }
std::map<std::string_view, std::uint64_t> spool::disk_errors() const { return parts_->state.files.failures(); }
std::uint64_t spool::recovery_left() const noexcept { return parts_->adopting.bytes_left(); }
std::uint64_t spool::stranded() const noexcept { return parts_->adopting.stranded(); }
backlog& spool::of_sink(std::size_t index) { return *parts_->cursors.at(index); }
account spool::account() const { return parts_->state.account(); }

void spool::before_removal(std::function<void()> sync) { parts_->state.sync_sinks = std::move(sync); }
void spool::close() { parts_->state.close(); }
bool spool::closed() const { return parts_->state.is_closed(); }

void spool::apply(const options& fresh) {
    // The only setting of the spool that a reload changes: the others are in what has been made by them.
    const std::scoped_lock lock(parts_->state.mutex);
    parts_->state.settings.overflow = fresh.overflow;
}

void spool::finish() {
    auto& state = parts_->state;
    const auto& own = *state.own;
    // What has left nothing behind leaves no directory either. The next run would find an empty set, and look at it for
    // nothing.
    if (std::exchange(parts_->finished, true) || own.left() > 0) return;
    if (!own.segments.empty() && !state.sinks_have_it_for_good(state.own, own.segments.front()->number)) return;
    // A sink may have lost what it was given: the next run delivers it again.
    if (own.kept_from > 0) return;
    for (const auto& segment : own.segments) remove_segment(*segment);
    remove_segment_set(own);
}

}  // namespace tracker
