#include "server/admin/pprof/threads.hpp"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "server/stacks.hpp"

namespace server::pprof {
namespace {

constexpr std::chrono::milliseconds patience{500};  // with all that do not answer together

struct system_call {
    long number;
    std::string_view name;
    bool of_descriptor = false;  ///< its first argument
};

/// What threads of a service wait in. poll and epoll_wait: newer machines have only the other two.
constexpr system_call calls[] = {
#ifdef SYS_poll
    {SYS_poll, "poll"},
    {SYS_epoll_wait, "epoll_wait"},
#endif
    {SYS_ppoll, "ppoll"},
    {SYS_epoll_pwait, "epoll_wait"},
    {SYS_futex, "futex"},
    {SYS_clock_nanosleep, "nanosleep"},
    {SYS_read, "read", true},
    {SYS_write, "write", true},
    {SYS_writev, "writev", true},
    {SYS_pwrite64, "pwrite", true},
    {SYS_fsync, "fsync", true},
    {SYS_fdatasync, "fdatasync", true},
    {SYS_ftruncate, "ftruncate", true},
    {SYS_flock, "flock", true},
    {SYS_fcntl, "fcntl", true},
    {SYS_connect, "connect", true},
    {SYS_accept4, "accept", true},
    {SYS_sendto, "send", true},
    {SYS_sendmsg, "sendmsg", true},
    {SYS_recvfrom, "recv", true},
    {SYS_recvmsg, "recvmsg", true},
    {SYS_openat, "openat"},
    {SYS_renameat, "rename"},
    {SYS_unlinkat, "unlink"},
    {SYS_wait4, "wait"},
};

std::string first_line(pid_t thread, std::string_view file) {
    std::string line;
    std::getline(std::ifstream(fmt::format("/proc/self/task/{}/{}", thread, file)), line);
    return line;
}

std::vector<std::string> words(std::string line) {
    std::istringstream from(std::move(line));
    return {std::istream_iterator<std::string>(from), {}};
}

std::string_view state_name(char letter) {
    switch (letter) {
        case 'R': return "running";
        case 'S': return "sleeping";
        case 'D': return "waiting for a device";
        case 'T':
        case 't': return "stopped";
        case 'Z':
        case 'X': return "ended";
        default: return "unknown";
    }
}

/// From "NUMBER ARGUMENT …" of /proc/self/task/N/syscall; -1 is a wait of another kind. Where the kernel does not show
/// that, it may say in which function of its own the thread waits.
std::string waits_in(pid_t thread) {
    const auto said = words(first_line(thread, "syscall"));
    if (said.size() < 2) {
        auto function = first_line(thread, "wchan");
        return function == "0" || (!said.empty() && said[0] == "running") ? std::string() : function;
    }
    const auto number = std::strtol(said[0].c_str(), nullptr, 10);
    const auto* const call = std::ranges::find(calls, number, &system_call::number);
    if (call == std::end(calls)) return number < 0 ? std::string() : fmt::format("system call {}", number);
    if (!call->of_descriptor) return std::string(call->name);
    std::error_code error;
    const auto descriptor = std::strtoul(said[1].c_str(), nullptr, 16);
    const auto file = std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", descriptor), error);
    return fmt::format("{} {}", call->name, error ? fmt::format("descriptor {}", descriptor) : file.string());
}

}  // namespace

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
    const auto name = first_line(thread, "comm");
    return name.empty() ? fmt::format("thread-{}", thread) : name;
}

std::vector<thread_view> describe_threads(const std::vector<lifecycle::workers::entry>& workers) {
    const auto until = lifecycle::clock::now() + patience;
    std::vector<thread_view> all;
    for (const auto id : thread_ids()) {
        const auto worker = std::ranges::find(workers, id, &lifecycle::workers::entry::thread);
        const bool ours = worker != workers.end() || id == ::getpid();
        thread_view thread_view{
            .name = thread_name(id, workers), .kind = worker == workers.end() ? "" : worker->kind, .id = id};
        // proc(5), stat: the name in parentheses may hold anything; after it the first field is the state, the 12th
        // and 13th are the time in user and system mode.
        const auto line = first_line(id, "stat");
        const auto fields = words(line.substr(std::min(line.size(), line.rfind(')') + 1)));
        if (fields.size() > 12) {
            thread_view.state = state_name(fields[0][0]);
            const auto ticks =
                std::strtoull(fields[11].c_str(), nullptr, 10) + std::strtoull(fields[12].c_str(), nullptr, 10);
            thread_view.cpu =
                std::chrono::milliseconds(ticks * 1'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)));
        }
        if (thread_view.state != "running")
            thread_view.waits_in = waits_in(id);  // before the signal, which it would wait no more for
        if (ours && lifecycle::clock::now() < until) thread_view.stack = stack_of(id);
        all.push_back(std::move(thread_view));
    }
    return all;
}

}  // namespace server::pprof
