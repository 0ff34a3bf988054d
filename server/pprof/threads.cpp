#include "server/pprof/threads.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>

namespace server::pprof {

std::vector<pid_t> thread_ids() {
    std::vector<pid_t> all;
    std::error_code error;
    for (std::filesystem::directory_iterator at("/proc/self/task", error), end; !error && at != end;
         at.increment(error)) {
        const auto name = at->path().filename().string();
        pid_t id = 0;
        std::from_chars(name.data(), name.data() + name.size(), id);
        if (id != 0) all.push_back(id);
    }
    std::ranges::sort(all,
                      [](pid_t a, pid_t b) { return std::pair(a != ::getpid(), a) < std::pair(b != ::getpid(), b); });
    return all;
}

std::string thread_name(pid_t thread, const std::vector<lifecycle::workers::entry>& workers) {
    const auto worker = std::ranges::find(workers, thread, &lifecycle::workers::entry::thread);
    if (worker != workers.end()) return worker->name;
    if (thread == ::getpid()) return "main";
    std::string name;
    std::getline(std::ifstream(fmt::format("/proc/self/task/{}/comm", thread)), name);
    return name.empty() ? fmt::format("thread-{}", thread) : name;
}

}  // namespace server::pprof
