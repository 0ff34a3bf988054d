#include "cmd/service/upgrade/successor.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace upgrade {
namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int first_descriptor = 3;      // SD_LISTEN_FDS_START; then debug, and the pipe
constexpr int look_ms = 20;              // how often a wait looks whether it is still wanted
constexpr milliseconds patience{5'000};  // from SIGTERM to SIGKILL, for a successor that is not ready in time
constexpr std::size_t longest_pid = 16;

using descriptors = std::array<int, 3>;

/// `NAME=value` for exec. LISTEN_PID and WATCHDOG_PID are the number of the process that is to read them, which
/// nobody knows before it exists: there is room for it.
struct variables {
    explicit variables(const std::string& paths);

    std::vector<std::string> lines;
    std::vector<char*> pointers;
    std::vector<char*> pid_places;
};

variables::variables(const std::string& paths) {
    const std::string ready = ready_variable, owned = paths_variable;
    bool watched = false;
    for (char** one = environ; *one != nullptr; ++one) {
        const std::string_view line = *one, name = line.substr(0, line.find('='));
        watched = watched || name == "WATCHDOG_PID";
        if (!name.starts_with("LISTEN_") && name != "WATCHDOG_PID" && name != ready && name != owned)
            lines.emplace_back(line);
    }
    lines.push_back("LISTEN_FDS=2");
    lines.push_back("LISTEN_FDNAMES=app:debug");
    lines.push_back(fmt::format("{}={}", ready, first_descriptor + 2));
    if (!paths.empty()) lines.push_back(fmt::format("{}={}", owned, paths));
    const auto given = lines.size();
    lines.push_back("LISTEN_PID=");
    if (watched) lines.push_back("WATCHDOG_PID=");
    for (auto line = lines.begin() + static_cast<std::ptrdiff_t>(given); line != lines.end(); ++line) {
        const auto name = line->size();
        line->resize(name + longest_pid, '\0');
        pid_places.push_back(line->data() + name);
    }
    for (auto& line : lines) pointers.push_back(line.data());
    pointers.push_back(nullptr);
}

/// Between fork and exec, in a copy of a process with many threads: only what signal-safety(7) allows. `to_chars`
/// of a whole number neither allocates nor locks.
[[noreturn]] void become(const char* program, char** arguments, const variables& given, const descriptors& wanted) {
    descriptors kept{};
    for (std::size_t nth = 0; nth < kept.size(); ++nth)  // out of the way of the places where they belong
        kept[nth] = ::fcntl(wanted[nth], F_DUPFD, first_descriptor + static_cast<int>(kept.size()));
    // Everything here is opened with O_CLOEXEC; what a library opens may not be. An older kernel says ENOSYS.
    ::close_range(first_descriptor, ~0U, CLOSE_RANGE_CLOEXEC);
    bool placed = true;
    for (std::size_t nth = 0; nth < kept.size(); ++nth)  // dup2 leaves FD_CLOEXEC behind
        placed = placed && ::dup2(kept[nth], first_descriptor + static_cast<int>(nth)) >= 0;
    const auto pid = ::getpid();
    for (char* const place : given.pid_places) std::to_chars(place, place + longest_pid - 1, pid);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);  // a blocked signal stays blocked over exec
    if (placed) ::execve(program, arguments, given.pointers.data());
    const int why = errno;
    [[maybe_unused]] const auto written = ::write(wanted[2], &why, sizeof why);
    ::_exit(127);
}

std::string end_of(int status) {
    if (WIFSIGNALED(status)) return fmt::format("was ended by signal {}", WTERMSIG(status));
    return fmt::format("ended with exit code {}", WEXITSTATUS(status));
}

}  // namespace

successor::successor(const std::string& program, std::vector<std::string> arguments, int app, int debug,
                     const std::string& paths) {
    std::vector<char*> argument_pointers;
    argument_pointers.reserve(arguments.size() + 1);
    for (auto& one : arguments) argument_pointers.push_back(one.data());
    argument_pointers.push_back(nullptr);
    const variables given(paths);
    int pipe[2];
    if (::pipe2(pipe, O_CLOEXEC) != 0) throw std::system_error(errno, std::system_category(), "pipe2");
    // Not posix_spawn, which leaves no place to write LISTEN_PID: docs/adr/0041-upgrade-in-place.md.
    pid_ = ::fork();
    if (pid_ == 0) become(program.c_str(), argument_pointers.data(), given, {app, debug, pipe[1]});
    const int error = errno;
    ::close(pipe[1]);
    ready_ = pipe[0];
    if (pid_ > 0) return;
    ::close(ready_);
    throw std::system_error(error, std::system_category(), "fork");
}

successor::~successor() { ::close(ready_); }

void successor::wait_until_ready(milliseconds limit, const std::function<bool()>& unwanted) const {
    const auto until = clock::now() + limit;
    pollfd word{ready_, POLLIN, 0};
    while (::poll(&word, 1, look_ms) <= 0) {
        if (unwanted()) {
            ::kill(pid_, SIGTERM);
            throw std::runtime_error("a stop has begun");
        }
        if (clock::now() < until) continue;
        throw std::runtime_error(
            fmt::format("process {} was not ready within {} ms and {}", pid_, limit.count(), dismiss(unwanted)));
    }
    int error = 0;
    const auto count = ::read(ready_, &error, sizeof error);
    if (count == 1) return;
    const auto end = dismiss(unwanted);
    if (count == sizeof error) throw std::runtime_error(fmt::format("cannot be executed: {}", std::strerror(error)));
    throw std::runtime_error(fmt::format("process {} {} before it was ready", pid_, end));
}

/// Ends it, if it has not ended by itself; how it did.
std::string successor::dismiss(const std::function<bool()>& unwanted) const {
    int status = 0;
    const auto asked = clock::now();
    // Whoever has closed the pipe is about to end, and is not told to before it had the time.
    for (bool told = false; ::waitpid(pid_, &status, WNOHANG) == 0;) {
        const auto waited = clock::now() - asked;
        if (!told && waited > milliseconds(look_ms)) told = ::kill(pid_, SIGTERM) == 0;
        if (unwanted()) {
            if (!told) ::kill(pid_, SIGTERM);
            return "was told to end";
        }
        if (waited > patience) ::kill(pid_, SIGKILL);
        ::poll(nullptr, 0, 1);
    }
    return end_of(status);
}

}  // namespace upgrade
