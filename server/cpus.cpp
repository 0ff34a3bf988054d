#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

#include "server/http_server.hpp"

namespace server {
namespace {

/// cgroup v2, cpu.max: "max 100000" or "quota period", in microseconds. 0: no quota.
double cgroup_quota() {
    std::ifstream membership("/proc/self/cgroup");
    std::string line, path;
    while (std::getline(membership, line))
        if (line.starts_with("0::")) path = line.substr(3);
    double least = 0;
    // Every group above counts too; inside a container the path is "/".
    for (;;) {
        std::ifstream limits("/sys/fs/cgroup" + path + "/cpu.max");
        double quota = 0, period = 0;
        if (limits >> quota >> period && period > 0 && (least == 0 || quota / period < least)) least = quota / period;
        if (path.empty() || path == "/") return least;
        path.resize(path.rfind('/'));
    }
}

}  // namespace

std::size_t usable_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    const int count = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    const double quota = cgroup_quota();
    const auto by_quota = quota > 0 ? static_cast<int>(std::ceil(quota)) : count;
    return static_cast<std::size_t>(std::max(1, std::min(count, by_quota)));
}

}  // namespace server
