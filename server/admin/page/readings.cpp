#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "server/admin/page/page.hpp"
#include "server/loop.hpp"

namespace server {

namespace {

double cpu_seconds() noexcept {
    rusage usage = {};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// 0 without /proc.
double resident_bytes() {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> statm(std::fopen("/proc/self/statm", "re"), std::fclose);
    unsigned long all = 0, resident = 0;
    if (!statm || std::fscanf(statm.get(), "%lu %lu", &all, &resident) != 2) return 0;
    return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

reading take_reading(const debug_sources& from) {
    constexpr std::size_t server_fault = 5;  // 5xx
    reading made;
    made.at = lifecycle::clock::now();
    for (const auto* loop : from.app.loops()) {
        made.lag += loop->account().lag;
        made.connections += loop->account().open.get();
        const auto& routes = loop->routes();
        made.routes.resize(routes.size());
        for (std::size_t nth = 0; nth < routes.size(); ++nth) {
            auto& route = made.routes[nth];
            for (const auto& by_class : routes[nth].responses) route.requests += by_class.get();
            route.errors += routes[nth].responses[server_fault].get();
            route.in_flight += routes[nth].in_flight.get();
            route.duration += routes[nth].duration;
        }
    }
    if (from.backlog) made.waiting = from.backlog().first;
    if (from.taken) made.accepted = from.taken();
    made.cpu_seconds = cpu_seconds();
    made.resident_bytes = resident_bytes();
    return made;
}

}  // namespace server
