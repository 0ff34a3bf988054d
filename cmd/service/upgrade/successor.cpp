#include "cmd/service/upgrade/successor.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
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

/// `NAME=value` for exec. LISTEN_PID and WATCHDOG_PID are the number of the process that is to read them, which is not
/// known before it exists: there is room for it.
struct variables {
    explicit variables(const std::string& owned);

    std::vector<std::string> lines;
    std::vector<char*> pointers;
    std::vector<char*> pid_places;
};

variables::variables(const std::string& owned) {
    const std::string ready = ready_variable, owners = owned_variable;
    bool watched = false;
    for (char** letter = environ; *letter != nullptr; ++letter) {
        const std::string_view line = *letter, name = line.substr(0, line.find('='));
        watched = watched || name == "WATCHDOG_PID";
        if (!name.starts_with("LISTEN_") && name != "WATCHDOG_PID" && name != ready && name != owners)
            lines.emplace_back(line);
    }
    lines.push_back("LISTEN_FDS=2");
    lines.push_back("LISTEN_FDNAMES=app:debug");
    lines.push_back(fmt::format("{}={}", ready, first_descriptor + 2));
    if (!owned.empty()) lines.push_back(fmt::format("{}={}", owners, owned));
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
    for (std::size_t nth = 0; nth < kept.size(); ++nth)  // dup2 leaves FD_CLOEXEC after
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

/// Ends as its child does, whose parent it remains until then; with the process that waits for it at the latest.
[[noreturn]] void stand_between(pid_t child) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close_range(0, ~0U, 0);  // or what others close would stay open
    siginfo_t end{};
    while (::waitid(P_PID, static_cast<id_t>(child), &end, WEXITED | WNOWAIT) != 0 && errno == EINTR) {}
    if (end.si_code == CLD_EXITED) ::_exit(end.si_status);
    constexpr rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::signal(end.si_status, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::kill(::getpid(), end.si_status);
    ::_exit(127);
}

std::string end_of(int status) {
    if (WIFSIGNALED(status)) return fmt::format("was ended by signal {}", WTERMSIG(status));
    return fmt::format("ended with exit code {}", WEXITSTATUS(status));
}

}  // namespace

successor::successor(const std::string& program, std::vector<std::string> arguments, int app, int debug,
                     const std::string& owned) {
    std::vector<char*> argument_pointers;
    argument_pointers.reserve(arguments.size() + 1);
    for (auto& argument : arguments) argument_pointers.push_back(argument.data());
    argument_pointers.push_back(nullptr);
    const variables given(owned);
    int pipe[2], number[2];
    if (::pipe2(pipe, O_CLOEXEC) != 0) throw std::system_error(errno, std::system_category(), "pipe2");
    ready_ = pipe[0];
    if (::pipe2(number, O_CLOEXEC) != 0) {
        const int error = errno;
        ::close(pipe[1]);
        ::close(ready_);
        throw std::system_error(error, std::system_category(), "pipe2");
    }
    // Not posix_spawn, which leaves no place to write LISTEN_PID: docs/adr/0041-upgrade-in-place.md. _Fork is the one
    // of the two that may be called in a copy of a process with many threads.
    between_ = ::_Fork();
    if (between_ == 0) {
        const pid_t child = ::_Fork();
        if (child == 0) become(program.c_str(), argument_pointers.data(), given, {app, debug, pipe[1]});
        const pid_t said = child > 0 ? child : -errno;
        [[maybe_unused]] const auto written = ::write(number[1], &said, sizeof said);
        if (child < 0) ::_exit(127);
        stand_between(child);
    }
    int error = errno;
    ::close(pipe[1]);
    ::close(number[1]);
    if (between_ > 0) {
        error = EIO;  // it has been killed before it could say anything
        while (::read(number[0], &pid_, sizeof pid_) < 0 && errno == EINTR) {}
        if (pid_ < -1) error = -pid_;
    }
    ::close(number[0]);
    if (pid_ > 0) {
        handle_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
        return;
    }
    let_go();
    ::close(ready_);
    throw std::system_error(error, std::system_category(), "fork");
}

successor::~successor() {
    let_go();
    ::close(ready_);
    if (handle_ >= 0) ::close(handle_);
}

void successor::tell(int signal) const noexcept {
    if (handle_ >= 0) ::syscall(SYS_pidfd_send_signal, handle_, signal, nullptr, 0);
}

/// Makes the process that adopts orphans its parent, if it is alive.
void successor::let_go() noexcept {
    if (between_ <= 0) return;
    ::kill(between_, SIGKILL);
    while (::waitpid(between_, nullptr, 0) < 0 && errno == EINTR) {}
    between_ = -1;
}

void successor::wait_until_ready(milliseconds limit, const std::function<bool()>& unwanted) {
    const auto until = clock::now() + limit;
    pollfd word{ready_, POLLIN, 0};
    while (::poll(&word, 1, look_ms) <= 0) {
        if (unwanted()) {
            tell(SIGTERM);
            throw std::runtime_error("a stop has begun");
        }
        if (clock::now() < until) continue;
        throw std::runtime_error(
            fmt::format("process {} was not ready within {} ms and {}", pid_, limit.count(), dismiss(unwanted)));
    }
    int error = 0;
    const auto count = ::read(ready_, &error, sizeof error);
    if (count == 1) return let_go();
    const auto end = dismiss(unwanted);
    if (count == sizeof error) throw std::runtime_error(fmt::format("cannot be executed: {}", std::strerror(error)));
    throw std::runtime_error(fmt::format("process {} {} before it was ready", pid_, end));
}

/// Ends it, if it has not ended by itself; how it did.
std::string successor::dismiss(const std::function<bool()>& unwanted) {
    int status = 0;
    const auto asked = clock::now();
    // What has closed the pipe is about to end, and is not told to before it had the time.
    for (bool told = false; ::waitpid(between_, &status, WNOHANG) == 0;) {
        const auto waited = clock::now() - asked;
        const bool must_go = unwanted();
        if (!told && (must_go || waited > milliseconds(look_ms))) {
            tell(SIGTERM);
            told = true;
        }
        if (must_go) return "was told to end";
        if (waited > patience) tell(SIGKILL);
        ::poll(nullptr, 0, 1);
    }
    between_ = -1;
    return end_of(status);
}

}  // namespace upgrade
