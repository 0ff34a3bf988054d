// Which requests find a place, loop by loop and on all of them together. No loop runs, and the test says what time it
// is.
#include "server/admission.hpp"

#include <gtest/gtest.h>

#include <array>

#include "server/shared_places.hpp"

namespace {

using namespace std::chrono_literals;
using lifecycle::clock;

constexpr clock::time_point start{1h};

/// What two loops of a server have counted.
struct two_loops {
    std::array<server::loop_account, 2> account;
    server::shared_places places;

    two_loops(std::uint64_t first, std::uint64_t second) {
        account[0].in_flight.set(first);
        account[1].in_flight.set(second);
        for (const auto& each : account) places.add(each);
    }
    bool first_has_one(std::size_t most, bool to_the_last) { return places.has_one(account[0], most, to_the_last); }
};

TEST(SharedPlaces, ALoopHasItsShareWhateverTheOthersHave) {
    EXPECT_TRUE(two_loops(3, 100).first_has_one(8, true));
    EXPECT_FALSE(two_loops(4, 100).first_has_one(8, true));
}

TEST(SharedPlaces, ALoopThatNeedsMoreThanItsShareHasWhatTheOthersLeave) {
    EXPECT_TRUE(two_loops(5, 2).first_has_one(8, true));
    EXPECT_FALSE(two_loops(5, 3).first_has_one(8, true));
}

TEST(SharedPlaces, ASixteenthIsKeptInACrowdAndOneAtLeast) {
    EXPECT_TRUE(two_loops(10, 20).first_has_one(33, false));
    EXPECT_FALSE(two_loops(10, 21).first_has_one(33, false)) << "two are kept";
    EXPECT_TRUE(two_loops(1, 1).first_has_one(4, false));
    EXPECT_FALSE(two_loops(1, 2).first_has_one(4, false)) << "one is kept";
    EXPECT_TRUE(two_loops(1, 1).first_has_one(3, false)) << "none, of so few";
}

TEST(SharedPlaces, InACrowdALoopSaysThatItEntersUntilItFindsNoPlace) {
    two_loops has(1, 1), has_not(1, 2);
    has.first_has_one(4, false);
    EXPECT_TRUE(has.account[0].enters);
    has_not.first_has_one(4, false);
    EXPECT_FALSE(has_not.account[0].enters);
}

TEST(SharedPlaces, TheLastPlaceGoesToOneOfTwoLoopsThatEnterAtOnce) {
    two_loops both(1, 1);
    both.account[1].enters = true;
    EXPECT_FALSE(both.first_has_one(4, false));
}

TEST(SharedPlaces, ACrowdLastsAsLongAsAnyLoopSays) {
    two_loops both(0, 0);
    EXPECT_EQ(both.places.crowded_until(), clock::time_point{});
    both.account[0].crowded_until.set(7);
    both.account[1].crowded_until.set(5);
    EXPECT_EQ(both.places.crowded_until(), clock::time_point{clock::duration(7)});
}

/// The admission of a loop on which so many places are free: one that is not kept, and one that is.
struct asking {
    bool has_usual = true, has_last = true;
    server::counter crowded_until;
    server::admission admission{[this](bool to_the_last) { return has_usual || (to_the_last && has_last); },
                                crowded_until};

    bool has_place(server::admission::patience& of, bool newcomer, clock::time_point now) {
        return admission.has_place(of, newcomer, now);
    }
    /// The last place is taken too, and somebody is refused.
    void make_crowd() {
        server::admission::patience of;
        has_usual = has_last = false;
        EXPECT_FALSE(has_place(of, false, start));
        has_last = true;
    }
};

TEST(Admission, TheLastPlaceIsForAnyRequestAsLongAsNoneIsRefused) {
    asking loop;
    loop.has_usual = false;
    server::admission::patience of;
    EXPECT_TRUE(loop.has_place(of, false, start));
    EXPECT_FALSE(loop.admission.crowded());
}

TEST(Admission, ARefusalMakesACrowdForTwoSeconds) {
    asking loop;
    loop.make_crowd();
    EXPECT_TRUE(loop.admission.crowded());
    EXPECT_EQ(clock::time_point(clock::duration(loop.crowded_until.get())), start + 2s);
    loop.admission.look(start + 2s - 1ns, start + 2s);
    EXPECT_TRUE(loop.admission.crowded());
    loop.admission.look(start + 2s, start + 2s);
    EXPECT_FALSE(loop.admission.crowded());
}

TEST(Admission, InACrowdTheLastPlaceIsForTheFirstRequestOfAConnection) {
    asking loop;
    loop.make_crowd();
    server::admission::patience fresh, known;
    EXPECT_FALSE(loop.has_place(known, false, start));
    EXPECT_TRUE(loop.has_place(fresh, true, start));
}

TEST(Admission, InACrowdTheLastPlaceIsForAClientThatHasWaitedForASecondAndForTwoSecondsFromThen) {
    asking loop;
    loop.make_crowd();
    server::admission::patience waits, hurries;
    EXPECT_FALSE(loop.has_place(waits, false, start));
    EXPECT_FALSE(loop.has_place(hurries, false, start));
    EXPECT_FALSE(loop.has_place(hurries, false, start + 1s - 1ns)) << "and its second begins again";
    EXPECT_TRUE(loop.has_place(waits, false, start + 1s));
    EXPECT_FALSE(loop.has_place(hurries, false, start + 1s));
    EXPECT_TRUE(loop.has_place(waits, false, start + 3s - 1ns));
    EXPECT_FALSE(loop.has_place(waits, false, start + 3s));
}

TEST(Admission, ARefusalSaysWhenToComeBack) {
    const auto answer = server::admission::refusal();
    EXPECT_EQ(answer.status, server::http::status::service_unavailable);
    EXPECT_EQ(answer.fields(), "Retry-After: 1\r\n");
}

}  // namespace
