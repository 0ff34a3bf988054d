#include "server/cpus.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/support/process.hpp"

namespace {

/// A root with the groups of a process.
class groups {
public:
    explicit groups(const std::string& membership) { put("proc/self/cgroup", membership); }
    void put(const std::string& file, const std::string& text) const {
        const auto path = root_.path() / file;
        std::filesystem::create_directories(path.parent_path());
        support::write_file(path, text);
    }
    double quota() const { return server::cgroup_quota(root_.path()); }

private:
    support::temporary_directory root_;
};

TEST(Cpus, AQuotaIsThatOfTheTightestGroupAbove) {
    const groups v2("0::/pods/one\n");
    EXPECT_EQ(v2.quota(), 0);
    v2.put("sys/fs/cgroup/pods/one/cpu.max", "max 100000\n");
    EXPECT_EQ(v2.quota(), 0);
    v2.put("sys/fs/cgroup/pods/one/cpu.max", "300000 100000\n");
    EXPECT_EQ(v2.quota(), 3);
    v2.put("sys/fs/cgroup/pods/cpu.max", "150000 100000\n");
    EXPECT_EQ(v2.quota(), 1.5);
}

TEST(Cpus, AQuotaOfCgroupV1Counts) {
    const groups v1("12:pids:/docker/one\n4:cpu,cpuacct:/docker/one\n0::/\n");
    v1.put("sys/fs/cgroup/cpu/docker/one/cpu.cfs_period_us", "100000\n");
    v1.put("sys/fs/cgroup/cpu/docker/one/cpu.cfs_quota_us", "-1\n");
    EXPECT_EQ(v1.quota(), 0);
    v1.put("sys/fs/cgroup/cpu/docker/one/cpu.cfs_quota_us", "50000\n");
    EXPECT_EQ(v1.quota(), 0.5);
}

TEST(Cpus, InAContainerTheGroupIsTheRootOfWhatIsMounted) {
    const groups v1("4:cpuacct,cpu:/docker/a-name-from-outside\n");
    v1.put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    v1.put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
    EXPECT_EQ(v1.quota(), 2);
    const groups v2("0::/\n");
    v2.put("sys/fs/cgroup/cpu.max", "100000 100000\n");
    EXPECT_EQ(v2.quota(), 1);
}

TEST(Cpus, WhatSaysNothingIsNoQuota) {
    EXPECT_EQ(groups("").quota(), 0);
    EXPECT_EQ(groups("nonsense\n::\n1:cpu\n").quota(), 0);
    EXPECT_GE(server::usable_cpus(), 1U);
}

}  // namespace
