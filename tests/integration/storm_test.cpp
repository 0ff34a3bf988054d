// What is left after a storm, and which clients get a turn while it lasts.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"

namespace integration {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool memory_is_telling = false;  // a sanitizer keeps what has been freed
#elif defined(__has_feature)
constexpr bool memory_is_telling = !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer);
#else
constexpr bool memory_is_telling = true;
#endif

/// What a service holds, seen from outside and by its own account.
struct holdings {
    std::ptrdiff_t descriptors = 0;
    std::size_t tasks = 0;
    std::int64_t connections = 0;
    std::int64_t in_flight = 0;
    bool starting = false;  ///< a worker that only a start has is still there
    bool operator==(const holdings&) const = default;
};

std::ostream& operator<<(std::ostream& out, const holdings& holdings) {
    return out << holdings.descriptors << " descriptors, " << holdings.tasks << " tasks, " << holdings.connections
               << " connections, " << holdings.in_flight << " in flight";
}

holdings held_by(service& service) {
    using files = std::filesystem::directory_iterator;
    const auto vars = boost::json::parse(service.ask_debug(get("/debug/vars")).body).as_object();
    const auto tasks = boost::json::parse(service.ask_debug(get("/debug/tasks")).body).as_object();
    holdings now;
    for (const auto& task : tasks.at("tasks").as_array()) {
        const auto& name = task.at("name").as_string();
        now.starting = now.starting || name.starts_with("note-") || name == "tracker-earlier";
        ++now.tasks;
    }
    now.connections = number(vars, "connections", "open");
    now.in_flight = number(vars, "requests", "in_flight");
    now.descriptors = std::distance(files("/proc/" + std::to_string(service.process().pid()) + "/fd"), files());
    return now;
}

/// Resident now, in KiB.
std::size_t memory_of(service& service) {
    std::ifstream status("/proc/" + std::to_string(service.process().pid()) + "/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6));
    return 0;
}

/// Everything at once: idle ones, half heads, half bodies, pipelines nobody reads, large bodies, streams nobody
/// reads, rubbish; then all of them vanish, every other one by reset.
void storm(const service& service) {
    constexpr int clients = 350;  // within the usual 1,024 descriptors
    std::string pipeline;
    for (int nth = 0; nth < 200; ++nth) pipeline += get("/");
    const auto chunk =
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n" + std::string(0xffff, 'c');
    const std::vector<std::string> sent = {
        "",
        "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(6'000, 'h'),
        request("POST", "/echo", {}, std::string(300'000, 'b')).substr(0, 200'000),
        chunk,
        pipeline,
        request("POST", "/echo", {}, std::string(500'000, 'b')),
        get("/big?bytes=1000000000"),
        get("/slow?ms=60000"),
        "rubbish\r\n\r\n",
    };
    std::vector<client> all;
    all.reserve(clients);
    for (int nth = 0; nth < clients; ++nth) {
        all.push_back(service.connect(nth % 3 == 0 ? 4'096 : 0));
        all.back().send(sent[static_cast<std::size_t>(nth) % sent.size()]);
    }
    EXPECT_EQ(service.ask(get("/livez")).status, 200) << "in the middle of the storm";
    EXPECT_EQ(service.ask_debug(get("/livez")).status, 200);
    for (std::size_t nth = 0; nth < all.size(); nth += 2) all[nth].reset();
}

TEST(Storm, AfterItEverythingIsWhereItWas) {
    service service;
    ASSERT_EQ(service.ask(get("/")).status, 200);
    holdings before;
    ASSERT_TRUE(eventually([&] {
        before = held_by(service);
        return before.connections == 0 && !before.starting;
    }));
    const auto memory_before = memory_of(service);
    for (int nth = 0; nth < 6; ++nth) {
        storm(service);
        holdings after;
        EXPECT_TRUE(eventually([&] { return (after = held_by(service)) == before; })) << before << " before; " << after;
    }
    // The buffers that were lent go back in steps, at ticks; then malloc gives back what it has kept of them.
    constexpr std::size_t kept = memory_is_telling ? 16 * 1024 : 1024 * 1024;
    EXPECT_TRUE(eventually([&] { return memory_of(service) < memory_before + kept; }))
        << memory_before << " KiB before, " << memory_of(service) << " KiB after";
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_EQ(faults(service.report()), "");
}

// The lesson's example of an unfair mutex: one takes it again the moment it is free, the other never gets it.

TEST(Fairness, APipelineWithoutEndDoesNotKeepOthersFromTheirTurn) {
    const service service({"--app.threads=1"});
    std::string many;
    for (int nth = 0; nth < 2'000; ++nth) many += get("/");
    std::atomic<bool> enough = false;
    std::atomic<std::size_t> rounds = 0;
    std::vector<std::jthread> greedy;
    greedy.reserve(4);
    for (int nth = 0; nth < 4; ++nth)
        greedy.emplace_back([&] {
            for (auto mine = service.connect(); !enough; ++rounds) {
                mine.send(many);
                for (int answers = 0; answers < 2'000; ++answers)
                    if (!mine.receive()) return;
            }
        });
    EXPECT_TRUE(eventually([&] { return rounds > 0; }));
    auto polite = service.connect();
    std::vector<clock::duration> waited;
    for (int nth = 0; nth < 200; ++nth) {
        const auto asked = clock::now();
        const auto answer = polite.exchange(get("/"));
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 200);
        waited.push_back(clock::now() - asked);
    }
    enough = true;
    std::nth_element(waited.begin(), waited.begin() + 100, waited.end());
    EXPECT_TRUE(support::in_time(waited[100], milliseconds(200))) << "the usual wait of a client that asks for little";
}

TEST(Fairness, AtTheLimitOfRequestsEveryClientGetsItsShare) {
    constexpr std::size_t clients = 12;
    constexpr int share = 5;
    const service service({"--app.max_in_flight=2", "--app.threads=1"});
    const auto deadline = clock::now() + milliseconds(60'000);
    std::vector<int> served(clients);
    std::vector<std::jthread> all;
    all.reserve(clients);
    for (auto& mine : served)
        all.emplace_back([&] {
            auto connection = service.connect();
            while (mine < share && clock::now() < deadline) {
                const auto answer = connection.exchange(get("/slow?ms=2"));
                if (!answer) return;
                if (answer->status == 200) ++mine;
            }
        });
    all.clear();  // joins
    EXPECT_THAT(served, testing::Each(share));
}

/// Clients that send as fast as they can and never wait, whatever the answer.
class pipelines {
public:
    pipelines(const service& service, std::size_t count, const std::string& request) {
        constexpr int deep = 200;
        std::string many;
        for (int nth = 0; nth < deep; ++nth) many += request;
        for (std::size_t nth = 0; nth < count; ++nth)
            threads_.emplace_back([this, many, mine = service.connect()]() mutable {
                bool refused = false;
                while (!over_ && mine.send(many))
                    for (int answers = 0; answers < deep; ++answers) {
                        const auto answer = mine.receive();
                        if (!answer || over_) return;
                        ++(answer->status == 200 ? served_ : refused_);
                        if (answer->status != 200 && !std::exchange(refused, true)) ++who_were_refused_;
                    }
            });
    }
    ~pipelines() { over_ = true; }

    std::size_t served() const { return served_; }
    std::size_t refused() const { return refused_; }
    /// None of them is still a newcomer.
    bool all_were_refused() const { return who_were_refused_ == threads_.size(); }

private:
    std::atomic<bool> over_ = false;
    std::atomic<std::size_t> served_ = 0, refused_ = 0, who_were_refused_ = 0;
    std::vector<std::jthread> threads_;  // last: they use the rest
};

constexpr milliseconds retry_after(1'000);

TEST(Fairness, WhoWaitsAsLongAsItWasToldGetsItsShareBesideThoseWhoNeverWait) {
    for (const auto* threads : {"--app.threads=1", "--app.threads=2"}) {
        const service service({"--app.max_in_flight=4", threads});
        const pipelines greedy(service, 8, get("/slow?ms=20"));
        ASSERT_TRUE(eventually([&] { return greedy.refused() > 0; }));
        auto polite = service.connect();
        const auto before = greedy.served();
        std::size_t served = 0, refused = 0;
        for (const auto end = clock::now() + milliseconds(4'000); clock::now() < end;) {
            const auto answer = polite.exchange(get("/slow?ms=20"));
            ASSERT_TRUE(answer);
            ++(answer->status == 200 ? served : refused);
            if (answer->status == 503) {
                EXPECT_FALSE(polite.closes_silently(retry_after));
            }
        }
        const auto others = greedy.served() - before;
        EXPECT_GE(served, (others + served) / 9) << refused << " refused, " << others << " of others, " << threads;
    }
}

TEST(Fairness, ANewcomerFindsAPlaceBesideThoseWhoNeverWait) {
    const service service({"--app.max_in_flight=4"});
    const pipelines greedy(service, 8, get("/slow?ms=20"));
    ASSERT_TRUE(eventually([&] { return greedy.all_were_refused(); }));
    // Once those are gone that were let in before the crowd, or by a loop that did not know of it yet.
    ASSERT_TRUE(eventually([&] { return service.ask(get("/slow?ms=20")).status == 200; }));
    for (int nth = 0; nth < 20; ++nth) EXPECT_EQ(service.ask(get("/slow?ms=20")).status, 200) << nth;
}

}  // namespace
}  // namespace integration
