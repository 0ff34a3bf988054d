// Which part of a batch is tried next, and what a refusal is held to be: driven without a sink, a clock or a thread.

#include "tracker/sieve.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using lifecycle::clock;
using testing::ElementsAre;
using testing::IsEmpty;
using tracker::sieve;
using strings = std::vector<std::string>;

/// A sink made of a function, and a delivery without all that waits.
struct Sieve : testing::Test {
    enum class answer : std::uint8_t { taken, bad_event, bad };
    using sink = std::function<answer(std::span<const tracker::event>)>;

    static std::vector<tracker::event> events(std::size_t number, std::size_t from = 0) {
        std::vector<tracker::event> all;
        for (std::size_t i = 0; i < number; ++i) all.emplace_back().id = std::to_string(from + i);
        return all;
    }
    static sink refusing(std::set<std::string> bad, answer how) {
        return [bad = std::move(bad), how](std::span<const tracker::event> part) {
            const auto is_bad = [&](const auto& event) { return bad.contains(event.id); };
            return std::ranges::any_of(part, is_bad) ? how : answer::taken;
        };
    }

    /// Until the batch is empty or a pause is asked for; true when it is empty.
    bool run(std::vector<tracker::event>& batch, const sink& at) {
        while (!batch.empty()) {
            const auto part = tested.next(batch);
            ++tries;
            const auto said = at(std::span<const tracker::event>(batch).subspan(part.first, part.count));
            const auto from = batch.begin() + static_cast<std::ptrdiff_t>(part.first);
            const auto to = from + static_cast<std::ptrdiff_t>(part.count);
            if (said == answer::taken) {
                tested.taken(part);
                for (auto event = from; event != to; ++event) taken.push_back(event->id);
                batch.erase(from, to);
                continue;
            }
            const auto step = tested.refused(part, batch, said == answer::bad_event, now);
            if (step == sieve::step::go_on) continue;
            if (step == sieve::step::pause) {
                tested.paused();
                return false;
            }
            buried.push_back(batch.front().id);
            tested.buried();
            batch.erase(batch.begin());
        }
        return true;
    }
    bool deliver(std::vector<tracker::event>& batch, const sink& at) {
        tested.begin(batch);
        return run(batch, at);
    }

    sieve tested{3};
    strings taken, buried;
    int tries = 0;
    clock::time_point now = clock::time_point() + 1h;
};

TEST_F(Sieve, ABatchThatIsTakenGoesWhole) {
    for (const std::size_t size : {1U, 256U, 3U, 256U}) {
        auto batch = events(size);
        tries = 0;
        EXPECT_TRUE(deliver(batch, refusing({}, answer::bad)));
        EXPECT_EQ(tries, 1);
    }
}

TEST_F(Sieve, ABadEventIsFoundInAsManyTriesAsTheBatchCanBeHalved) {
    for (const auto* bad : {"0", "1", "100", "254", "255"}) {
        tested = sieve(3);
        buried.clear();
        taken.clear();
        tries = 0;
        auto batch = events(256);
        EXPECT_TRUE(deliver(batch, refusing({bad}, answer::bad_event)));
        EXPECT_THAT(buried, ElementsAre(bad));
        EXPECT_EQ(taken.size(), 255U);
        EXPECT_LE(tries, 1 + 8 + 9);
        EXPECT_TRUE(std::ranges::is_sorted(taken, {}, [](const auto& id) { return std::stoi(id); })) << "in order";
    }
}

TEST_F(Sieve, WhatIsSaidOfOneEventAloneBuriesItAtOnce) {
    auto batch = events(1);
    EXPECT_TRUE(deliver(batch, refusing({"0"}, answer::bad_event)));
    EXPECT_THAT(buried, ElementsAre("0"));
    EXPECT_EQ(tries, 1);
}

TEST_F(Sieve, AnythingElseThatAllHearIsTheSinksState) {
    for (const std::size_t size : {1U, 2U, 100U, 256U}) {
        auto batch = events(size);
        for (int round = 0; round < 100; ++round) {
            tries = 0;
            EXPECT_FALSE(deliver(batch, [](auto) { return answer::bad; }));
            EXPECT_LE(tries, 18) << "and not all of them are asked";
            now += 5s;
        }
        EXPECT_TRUE(deliver(batch, refusing({}, answer::bad)));
        EXPECT_THAT(buried, IsEmpty());
    }
}

TEST_F(Sieve, AnEventThatIsRefusedBeforeAndAfterAnotherIsTakenIsBuriedWithoutAPause) {
    auto batch = events(2);
    strings heard;
    const auto bad = refusing({"0"}, answer::bad);
    EXPECT_TRUE(deliver(batch, [&](auto part) {
        heard.push_back(part.size() == 1 ? part[0].id : "all");
        return bad(part);
    }));
    EXPECT_THAT(heard, ElementsAre("all", "0", "1", "0", "0"));
    EXPECT_THAT(buried, ElementsAre("0"));
}

TEST_F(Sieve, ASinkThatIsWellAgainInTheMiddleOfItIsNotMistaken) {
    for (int well_after = 1; well_after < 20; ++well_after) {
        auto batch = events(9);
        const auto well = [&](auto) { return tries > well_after ? answer::taken : answer::bad; };
        tries = 0;
        if (!deliver(batch, well)) {
            EXPECT_TRUE(deliver(batch, refusing({}, answer::bad)));
        }
        EXPECT_THAT(buried, IsEmpty()) << well_after;
    }
}

TEST_F(Sieve, ASinkThatTurnsBadInTheMiddleOfASearchIsNotMistaken) {
    for (int bad_after = 1; bad_after < 40; ++bad_after) {
        tested = sieve(3);
        buried.clear();
        auto batch = events(40);
        const auto poison = refusing({"11", "12", "30"}, answer::bad);
        tries = 0;
        const auto turning = [&](auto part) { return tries > bad_after ? answer::bad : poison(part); };
        for (int round = 0; round < 5 && !deliver(batch, turning); ++round) now += 400ms;
        if (!batch.empty()) deliver(batch, poison);
        EXPECT_THAT(buried, ElementsAre("11", "12", "30")) << bad_after;
    }
}

TEST_F(Sieve, AsManyBadEventsAsYouLikeAreFoundWhereverTheyStand) {
    for (const auto how : {answer::bad_event, answer::bad}) {
        for (std::uint32_t seed = 1; seed <= 50; ++seed) {
            tested = sieve(3);
            taken.clear();
            buried.clear();
            std::minstd_rand random(seed);
            std::set<std::string> bad;
            while (bad.size() < 60) bad.insert(std::to_string(random() % 400));
            auto batch = events(256);
            auto rest = events(144, 256);
            tries = 0;
            int rounds = 0;
            for (auto* each : {&batch, &rest})
                while (!deliver(*each, refusing(bad, how)) && rounds < 100) {
                    now += 1s;
                    ++rounds;
                }
            EXPECT_EQ(std::set<std::string>(buried.begin(), buried.end()), bad) << seed;
            EXPECT_EQ(taken.size(), 340U);
            EXPECT_LE(rounds, 12);
            EXPECT_LE(tries, 1000);
        }
    }
}

TEST_F(Sieve, ARunOfBadEventsIsFoundByOthersOfTheBatch) {
    std::set<std::string> bad;
    for (int i = 0; i < 50; ++i) bad.insert(std::to_string(i));
    auto batch = events(100);
    EXPECT_TRUE(deliver(batch, refusing(bad, answer::bad)));
    EXPECT_EQ(buried.size(), 50U);
}

TEST_F(Sieve, AnEventThatIsAloneWaitsForOthersToBeComparedWith) {
    auto batch = events(1);
    const auto bad = refusing({"0"}, answer::bad);
    for (int round = 0; round < 100; ++round) {
        EXPECT_FALSE(deliver(batch, bad));
        now += 5s;
    }
    batch = events(2);
    EXPECT_TRUE(deliver(batch, bad));
    EXPECT_THAT(buried, ElementsAre("0"));
    EXPECT_THAT(taken, ElementsAre("1"));
}

TEST_F(Sieve, OrForOtherBatchesThatAreTakenBetweenItsTries) {
    const auto bad = refusing({"0"}, answer::bad);
    std::size_t next = 1;
    auto batch = events(1);
    for (int round = 0; round < 3; ++round) {
        EXPECT_FALSE(deliver(batch, bad));
        auto other = events(1, next++);
        EXPECT_TRUE(deliver(other, bad));
    }
    EXPECT_TRUE(deliver(batch, bad));
    EXPECT_THAT(buried, ElementsAre("0"));
}

TEST_F(Sieve, WhatIsLeftOfABatchThatWasTakenHasThreeSecondsMore) {
    auto batch = events(3);
    const auto bad = refusing({"1", "2"}, answer::bad);
    EXPECT_FALSE(deliver(batch, bad));
    EXPECT_EQ(batch.size(), 2U);
    now += 2900ms;
    EXPECT_FALSE(deliver(batch, bad));
    EXPECT_THAT(buried, IsEmpty());
    now += 100ms;
    EXPECT_TRUE(deliver(batch, bad));
    EXPECT_THAT(buried, ElementsAre("1", "2"));
}

TEST_F(Sieve, AndTheThreeSecondsAreItsOwn) {
    const auto bad = refusing({"1", "2", "4", "5"}, answer::bad);
    auto batch = events(3), other = events(3, 3);
    EXPECT_FALSE(deliver(batch, bad));
    now += 5s;
    EXPECT_FALSE(deliver(other, bad));
    EXPECT_THAT(buried, IsEmpty());
    now += 3s;
    EXPECT_TRUE(deliver(other, bad));
    EXPECT_THAT(buried, ElementsAre("4", "5"));
}

TEST_F(Sieve, WhatWasTakenBeforeAPauseProvesNothingAfterIt) {
    auto batch = events(3);
    tested.begin(batch);
    EXPECT_EQ(tested.refused(tested.next(batch), batch, false, now), sieve::step::go_on);
    EXPECT_EQ(tested.refused(tested.next(batch), batch, false, now), sieve::step::go_on);
    const auto other = tested.next(batch);
    EXPECT_EQ(other.first, 1U);
    tested.taken(other);
    batch.erase(batch.begin() + 1);
    tested.paused();
    for (int round = 0; round < 10; ++round) EXPECT_FALSE(run(batch, [](auto) { return answer::bad; }));
    EXPECT_THAT(buried, IsEmpty());
}

TEST_F(Sieve, AFailureOfAnotherKindLeavesThePartAsItIs) {
    auto batch = events(8);
    tested.begin(batch);
    const auto all = tested.next(batch);
    tested.paused();
    EXPECT_EQ(tested.next(batch).count, all.count);
    EXPECT_EQ(tested.refused(all, batch, false, now), sieve::step::go_on);
    const auto half = tested.next(batch);
    EXPECT_EQ(half.count, 4U);
    tested.paused();
    EXPECT_EQ(tested.next(batch).count, 4U);
    EXPECT_EQ(tested.next(batch).first, 0U);
}

}  // namespace
