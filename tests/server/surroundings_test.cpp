#include "server/surroundings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <sstream>

namespace {

using namespace std::chrono_literals;
using server::surroundings;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Surroundings : testing::Test {
    std::vector<std::string> said() {
        std::vector<std::string> lines;
        std::istringstream in(text.str());
        for (std::string line; std::getline(in, line);) lines.push_back(line);
        text.str({});
        return lines;
    }
    surroundings watched(bool by_cpus = true) { return {"app", 2, by_cpus, log, seen}; }

    std::ostringstream text;
    spdlog::logger log{"test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text)};
    surroundings::view seen{.quota = 2, .cpus = 2, .wall = {}, .steady = {}};
};

TEST_F(Surroundings, AQuotaThatChangesUnderARunningProcessIsALineEachTime) {
    auto around = watched();
    around.look(seen);
    EXPECT_THAT(said(), IsEmpty());
    seen.cpus = 4;
    around.look(seen);
    EXPECT_THAT(said(), ElementsAre(HasSubstr("app: there are 4 processors now for 2 loops, which stay")));
    around.look(seen);
    EXPECT_THAT(said(), IsEmpty()) << "said once";
    seen.cpus = 2;
    around.look(seen);
    EXPECT_THAT(said(), IsEmpty()) << "as many as at the start";
    seen.cpus = 1;
    around.look(seen);
    EXPECT_THAT(said(), ElementsAre(HasSubstr("app: there are 1 processors now for 2 loops")));
}

TEST_F(Surroundings, ANumberOfLoopsThatIsASettingFollowsNothing) {
    auto around = watched(false);
    seen.cpus = 8;
    around.look(seen);
    EXPECT_THAT(said(), IsEmpty());
}

TEST_F(Surroundings, AQuotaOfOnePercentIsALineAtTheStart) {
    seen.quota = 0.01;
    watched();
    EXPECT_THAT(said(), ElementsAre(HasSubstr("app: the CPU quota is 0.01 of a processor")));
    seen.quota = 0.1;
    watched();
    seen.quota = 0;  // none
    watched();
    EXPECT_THAT(said(), IsEmpty());
}

TEST_F(Surroundings, AWallClockThatJumpsIsALineAndASlowOneIsNot) {
    auto around = watched();
    seen.steady += 5s;
    seen.wall += 5s + 900ms;
    around.look(seen);
    EXPECT_THAT(said(), IsEmpty());
    seen.steady += 5s;
    seen.wall += 5s + 1h;
    around.look(seen);
    EXPECT_THAT(said(), ElementsAre(HasSubstr("app: the wall clock has moved by 3600000 ms: no deadline follows it")));
    seen.steady += 5s;
    seen.wall -= 24h - 5s;
    around.look(seen);
    EXPECT_THAT(said(), ElementsAre(HasSubstr("moved by -86400000 ms")));
    seen.steady += 1h;  // a freeze: both go on
    seen.wall += 1h;
    around.look(seen);
    EXPECT_THAT(said(), IsEmpty());
}

TEST_F(Surroundings, AWaitEndsWhenItIsOverOrAStopIsAskedFor) {
    auto around = watched();
    std::mutex mutex;
    std::condition_variable_any changed;
    std::unique_lock lock(mutex);
    std::stop_source stop;
    around.wait(changed, lock, stop.get_token(), [] { return true; });
    stop.request_stop();
    around.wait(changed, lock, stop.get_token(), [] { return false; });
    EXPECT_TRUE(lock.owns_lock());
}

}  // namespace
