#pragma once

#include <cstddef>
#include <filesystem>

namespace server {

/// The processors that the control groups of this process leave it, all above its own counted too: cpu.max of cgroup v2
/// (kernel, admin-guide/cgroup-v2), cpu.cfs_quota_us of v1 (scheduler/sched-bwc). 0: as many as there are. `root`: in
/// place of /, for tests. Safe from any thread.
double cgroup_quota(const std::filesystem::path& root = "/");

/// How many loops: the smaller of CPU affinity and quota, at least 1. Safe from any thread.
std::size_t usable_cpus();

}  // namespace server
