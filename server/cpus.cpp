#include "server/cpus.hpp"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

namespace server {
namespace {

/// Of one group; 0: none.
double quota_v2(const std::filesystem::path& group) {
    std::ifstream limits(group / "cpu.max");  // "max 100000" or "quota period", in microseconds
    double quota = 0, period = 0;
    return limits >> quota >> period && period > 0 ? quota / period : 0;
}
double quota_v1(const std::filesystem::path& group) {
    std::ifstream limit(group / "cpu.cfs_quota_us"), each(group / "cpu.cfs_period_us");  // -1: no limit
    double quota = 0, period = 0;
    return limit >> quota && each >> period && quota > 0 && period > 0 ? quota / period : 0;
}

/// The least from the group up. Inside a container the path is "/", or one that is not mounted.
template <class Quota>
double least_above(const std::filesystem::path& mount, std::string path, Quota quota_of) {
    for (double least = 0;;) {
        const auto here = quota_of(mount / path.substr(std::min<std::size_t>(1, path.size())));
        if (here > 0 && (least == 0 || here < least)) least = here;
        if (path.empty() || path == "/") return least;
        path.resize(path.rfind('/'));
    }
}

}  // namespace

double cgroup_quota(const std::filesystem::path& root) {
    const auto mounts = root / "sys/fs/cgroup";
    std::ifstream membership(root / "proc/self/cgroup");
    double least = 0;
    for (std::string line; std::getline(membership, line);) {  // "0::/path", or "4:cpu,cpuacct:/path"
        const auto first = line.find(':'), second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const auto controllers = line.substr(first + 1, second - first - 1);
        const auto path = line.substr(second + 1);
        double quota = 0;
        if (controllers.empty())
            quota = least_above(mounts, path, quota_v2);
        else if ((',' + controllers + ',').find(",cpu,") != std::string::npos)
            quota = least_above(mounts / "cpu", path, quota_v1);  // a link where several are mounted as one
        if (quota > 0 && (least == 0 || quota < least)) least = quota;
    }
    return least;
}

std::size_t usable_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    const int count = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    const double quota = cgroup_quota();
    const auto by_quota = quota > 0 ? static_cast<int>(std::ceil(quota)) : count;
    return static_cast<std::size_t>(std::max(1, std::min(count, by_quota)));
}

}  // namespace server
