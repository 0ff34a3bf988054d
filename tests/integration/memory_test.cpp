// Without memory.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/integration/service.hpp"

namespace integration {
namespace {

/// Bytes of address space that a process has.
rlim_t address_space(pid_t process) {
    std::ifstream statm("/proc/" + std::to_string(process) + "/statm");
    rlim_t pages = 0;
    statm >> pages;
    return pages * 4'096;
}

/// But for main's.
std::set<std::string> threads_of(pid_t process) {
    std::set<std::string> names;
    for (const auto& each : std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
        if (each.path().filename() == std::to_string(process)) continue;
        auto name = support::read_file(each.path() / "comm");
        names.insert(name.substr(0, name.find('\n')));
    }
    return names;
}

TEST(Memory, ThatAThousandConnectionsDoNotFindCostsThemAndNobodyElse) {
    service service({"--app.threads=2", "--shutdown.budget=10s", "--shutdown.idle_grace=100ms"});
    rlimit files = {};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    ASSERT_EQ(service.ask(post("before")).status, 201);
    // A thread that begins or ends while the limit is made takes or leaves more addresses than are counted here.
    const std::set<std::string> those_that_stay = {
        "app",          "app-1", "app-2", "debug", "debug-1", "log", "tracker", "tracker-file", "tracker-spool",
#ifdef PAGE
        "page-history",
#endif
    };
    int looks = 0;  // several: one of the start may begin late
    ASSERT_TRUE(eventually([&] {
        looks = threads_of(service.process().pid()) == those_that_stay ? looks + 1 : 0;
        return looks == 20;
    }));
    const auto most = address_space(service.process().pid()) + rlim_t{4} * 1'024 * 1'024;
    const rlimit room = {most, RLIM_INFINITY};
    ASSERT_EQ(::prlimit(service.process().pid(), RLIMIT_AS, &room, nullptr), 0);
    {
        std::vector<client> storm;
        for (int nth = 0; nth < 1'500; ++nth) {
            storm.push_back(service.connect());
            storm.back().send("GET / HTTP/1.1\r\n");  // it is not whole: what it is read into stays with it
        }
        EXPECT_TRUE(eventually([&] { return service.err().find("a connection is closed") != std::string::npos; }))
            << "there was memory enough: the test says nothing";
    }
    // The loops let go of what the storm has left with their next ticks; until then it may cost another connection.
    const auto answered = [](const auto& asked) {
        try {
            return asked();
        } catch (const std::exception&) {
            return false;
        }
    };
    EXPECT_TRUE(eventually([&] { return answered([&] { return service.ask(get("/")).status == 200; }); })) << "deaf";
    EXPECT_TRUE(eventually([&] { return answered([&] { return service.readiness_is(200); }); })) << "deaf";
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_EQ(number(service.report(), "events", "accepted"), number(service.report(), "events", "delivered"));
}

}  // namespace
}  // namespace integration
