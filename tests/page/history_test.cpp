// What the page shows of the last two minutes, as the process keeps it.

#include "server/admin/page/history.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace server {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using place = estimate::place;

/// So many requests of each duration.
histogram::values values_of(std::initializer_list<std::pair<std::chrono::nanoseconds, int>> seen) {
    histogram all;
    for (const auto& [duration, times] : seen)
        for (int nth = 0; nth < times; ++nth) all.observe(duration);
    histogram::values values;
    values += all;
    return values;
}

TEST(Quantile, BelowTheFirstBoundItIsNotKnownHowFarBelow) {
    const auto found = quantile(0.5, values_of({{30us, 100}}), {});
    EXPECT_EQ(found.where, place::below);
    EXPECT_EQ(found.seconds, histogram::bounds.front());
}

TEST(Quantile, AboveTheLastBoundItIsNotKnownHowFarAbove) {
    const auto found = quantile(0.99, values_of({{30us, 90}, {40s, 10}}), {});
    EXPECT_EQ(found.where, place::above);
    EXPECT_EQ(found.seconds, histogram::bounds.back());
}

TEST(Quantile, AtTheLastBoundItIsStillWithin) {
    EXPECT_EQ(quantile(0.99, values_of({{9s, 100}}), {}).where, place::within);
    EXPECT_LE(quantile(1, values_of({{9s, 100}}), {}).seconds, histogram::bounds.back());
}

TEST(Quantile, InBetweenItIsInterpolatedInItsBucket) {
    const auto found = quantile(0.5, values_of({{2ms, 100}}), {});  // from 1 to 2.5 ms
    EXPECT_EQ(found.where, place::within);
    EXPECT_DOUBLE_EQ(found.seconds, 0.00175);
}

TEST(Quantile, IsOfWhatCameSinceTheEarlierLook) {
    const auto before = values_of({{40s, 100}});
    EXPECT_EQ(quantile(0.5, before, before).where, place::nothing);
    EXPECT_EQ(quantile(0.99, values_of({{40s, 100}, {30us, 100}}), before).where, place::below);
}

/// A process that answers `rate` requests a second on its one route.
class process {
public:
    explicit process(history& seen) : seen_(seen) {}

    void live(int seconds, std::uint64_t rate, std::chrono::nanoseconds each = 2ms) {
        for (int nth = 0; nth < seconds; ++nth) {
            for (std::uint64_t request = 0; request < rate; ++request) durations_.observe(each);
            requests_ += rate;
            look();
        }
    }
    json::object says(std::uint64_t since = 0) const { return json::parse(seen_.to_json(since, now_)).as_object(); }
    std::vector<double> column(const char* name, std::uint64_t since = 0) const {
        std::vector<double> all;
        const auto said = says(since);
        for (const auto& value : said.at(name).as_array()) all.push_back(value.to_number<double>());
        return all;
    }

    json::value last(const char* name) const { return says().at(name).as_array().back(); }

private:
    void look() {
        now_ += history::interval;
        reading made;
        made.at = now_;
        made.routes.resize(2);
        made.routes.front().requests = requests_;
        made.routes.front().duration += durations_;
        seen_.add(std::move(made));
    }

    history& seen_;
    lifecycle::clock::time_point now_{};
    std::uint64_t requests_ = 0;
    histogram durations_;
};

class History : public testing::Test {
protected:
    history seen{{"GET /", "unmatched"}};
    process service{seen};
};

TEST_F(History, AnEmptyOneIsJsonTooAndHasNoPoint) {
    EXPECT_TRUE(service.column("requests").empty());
    EXPECT_EQ(service.says().at("next").to_number<int>(), 0);
    service.live(1, 1'000);
    EXPECT_TRUE(service.column("requests").empty()) << "what was counted before the first look is no rate";
}

TEST_F(History, ARateIsOfTheSecondBeforeItsPoint) {
    service.live(1, 4'512);
    service.live(2, 10);
    EXPECT_EQ(service.column("requests"), (std::vector<double>{10, 10}));
    EXPECT_EQ(service.column("age_ms"), (std::vector<double>{1'000, 0}));
}

TEST_F(History, KeepsTwoMinutesAndNoMore) {
    service.live(1, 0);
    service.live(300, 3);
    EXPECT_EQ(service.column("requests").size(), history::span);
    EXPECT_EQ(service.column("age_ms").front(), 120'000);
    EXPECT_EQ(service.says().at("next").to_number<int>(), 300);
}

TEST_F(History, WhoHasAskedBeforeGetsWhatCameSince) {
    service.live(6, 1);
    const auto next = service.says().at("next").to_number<std::uint64_t>();
    EXPECT_TRUE(service.column("requests", next).empty());
    service.live(2, 7);
    EXPECT_EQ(service.column("requests", next), (std::vector<double>{7, 7}));
    EXPECT_EQ(service.column("requests", 1'000'000).size(), 7U) << "a number of another process";
}

TEST_F(History, QuantilesAreOfTheLastTenSecondsAndSayWhatTheyDoNotKnow) {
    service.live(20, 10, 20s);
    EXPECT_EQ(service.last("p99"), json::value(">"));
    service.live(10, 10, 20us);
    EXPECT_EQ(service.last("p99"), json::value("<"));
    service.live(10, 0);
    EXPECT_TRUE(service.last("p99").is_null());
}

TEST_F(History, RoutesAreThereAtOnceAndWhatNoRouteAnswersWhenItWasAsked) {
    service.live(3, 12);
    const auto said = service.says();
    const auto& routes = said.at("routes").as_array();
    ASSERT_EQ(routes.size(), 1U);
    EXPECT_EQ(routes[0].at("route"), json::value("GET /"));
    EXPECT_EQ(routes[0].at("requests").to_number<double>(), 12);
    EXPECT_NEAR(routes[0].at("p50").to_number<double>(), 0.00175, 1e-5);
}

TEST_F(History, CountersThatGoBackAreNoRate) {
    service.live(2, 10);
    reading made;
    made.at = lifecycle::clock::time_point{} + 3s;
    made.routes.resize(2);
    seen.add(std::move(made));
    EXPECT_EQ(service.column("requests").back(), 0);
}

}  // namespace
}  // namespace server
