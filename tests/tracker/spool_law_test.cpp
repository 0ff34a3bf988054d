// What a disk may do to a spool: random runs over one that fails now and then and forgets what was not synced.

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "tests/tracker/spool_fakes.hpp"

namespace {

using tracker::durability;
using tracker::verdict;

/// Some runs in one directory, one after the other.
class runs : fakes::spool_place {
public:
    runs(std::uint32_t seed, durability durability) : random_(seed) {
        options.durability = durability;
        options.segment_bytes = 4096 * (1 + random_() % 4);
        options.batch_events = 1 + random_() % 8;
        disk_.write_error = [this] { return one_in(fails_) ? (one_in(2) ? ENOSPC : EIO) : 0; };
        disk_.sync_error = [this] { return one_in(fails_) ? EIO : 0; };
    }

    /// Ends as a process does that is killed, or that loses its power.
    void run(bool lose_power) {
        fails_ = one_in(2) ? 0U : 2U + static_cast<unsigned>(random_() % 20);
        tracker::spool spool(options, book.log, &disk_);
        for (auto steps = random_() % 60; steps > 0; --steps) {
            disk_.truncates = fails_ == 0 || !one_in(4);
            one_in(3) ? deliver(spool) : append(spool);
            ASSERT_TRUE(spool.account().balanced());
        }
        if (!lose_power) return;
        disk_.lose_power();
        // A note of what was delivered is never synced: any older one may be what is found.
        for (const auto& set : tracker::sets_in(spool_directory()))
            if (one_in(2)) std::filesystem::resize_file(set / "delivered.file", 0);
    }

    /// What the first run on a disk that is well again delivers.
    void last_run() {
        fails_ = 0;
        disk_.truncates = true;
        tracker::spool spool(options, book.log, &disk_);
        append(spool);
        while (spool.account().queued > 0) deliver(spool);
        EXPECT_FALSE(spool.account().dropped.contains("damaged"));
    }

    std::size_t missing() const {
        std::size_t count = 0;
        for (const auto& id : accepted_) count += delivered_.contains(id) ? 0U : 1U;
        return count;
    }
    std::size_t accepted() const { return accepted_.size(); }

private:
    bool one_in(unsigned many) { return many > 0 && random_() % many == 0; }

    /// The data of an event follows from its id: a garbled one is noticed.
    static std::string data_of(const std::string& id) { return std::string(std::hash<std::string>()(id) % 900, id[0]); }

    void append(tracker::spool& spool) {
        std::vector<tracker::event> events;
        for (auto count = 1 + random_() % 5; count > 0; --count) {
            const auto id = std::to_string(++last_id_);
            events.push_back(fakes::make_event(data_of(id), id));
        }
        if (spool.append(events) != verdict::accepted) return;
        for (const auto& event : events) accepted_.insert(event.id);
    }

    void deliver(tracker::spool& spool) {
        tracker::batch batch(options);
        if (spool.account().queued == 0 || !spool.of_sink(0).take(batch)) return;
        for (const auto& event : batch.events) {
            EXPECT_EQ(event.data, data_of(event.id));
            delivered_.insert(event.id);
        }
        spool.of_sink(0).settle(batch, tracker::outcome::delivered);
    }

    std::mt19937 random_;
    unsigned fails_ = 0;  ///< one call in this many; 0: none
    fakes::test_disk disk_;
    int last_id_ = 0;
    std::set<std::string> accepted_, delivered_;
};

std::size_t missing_after(std::uint32_t seed, durability durability, bool lose_power) {
    runs all(seed, durability);
    for (int i = 0; i < 8; ++i) all.run(lose_power);
    all.last_run();
    EXPECT_GT(all.accepted(), 0U);
    return all.missing();
}

TEST(SpoolLaw, ADiskThatFailsNowAndThenLosesNothingThatWasAccepted) {
    for (std::uint32_t seed = 1; seed <= 20; ++seed)
        ASSERT_EQ(missing_after(seed, durability::process, false), 0U) << "seed " << seed;
}

TEST(SpoolLaw, WithDurabilityDiskNeitherDoLossesOfPower) {
    for (std::uint32_t seed = 1; seed <= 20; ++seed)
        ASSERT_EQ(missing_after(seed, durability::disk, true), 0U) << "seed " << seed;
}

TEST(SpoolLaw, WithDurabilityProcessLossesOfPowerLoseEventsButGarbleNone) {
    std::size_t missing = 0;
    for (std::uint32_t seed = 1; seed <= 20; ++seed) missing += missing_after(seed, durability::process, true);
    EXPECT_GT(missing, 0U) << "then the test of durability disk shows nothing";
}

}  // namespace
