#include "tests/support/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace support {
namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

int open_for_writing(const std::filesystem::path& path) {
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (descriptor < 0) fail("open");
    return descriptor;
}

/// A pipe into which nothing goes any more: a blocking write to it waits for ever.
void make_full_pipe(int (&ends)[2]) {
    if (::pipe2(ends, O_CLOEXEC) != 0) fail("pipe2");
    ::fcntl(ends[1], F_SETPIPE_SZ, 4096);
    ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
    const char filler[512] = {};
    while (::write(ends[1], filler, sizeof filler) > 0) {}
    while (::write(ends[1], filler, 1) > 0) {}
    ::fcntl(ends[1], F_SETFL, 0);  // the flag is shared with the child, which must not profit from it
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> result;
    result.reserve(strings.size() + 1);
    for (auto& string : strings) result.push_back(string.data());
    result.push_back(nullptr);
    return result;
}

/// Between fork and exec: only what signal-safety(7) allows.
[[noreturn]] void become(const char* program, char** arguments, char** environment, const char* directory, int output,
                         int errors, int failure, const process::options& how) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int number = 1; number < 32; ++number) ::signal(number, SIG_DFL);  // ignored ones survive exec
    sigset_t blocked;
    how.signals_blocked ? ::sigfillset(&blocked) : ::sigemptyset(&blocked);
    ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
    const int input = ::open("/dev/null", O_RDONLY);
    if (::dup2(input, 0) >= 0 && ::dup2(output, 1) >= 0 && ::dup2(errors, 2) >= 0 && ::chdir(directory) == 0) {
        if (input > 2) ::close(input);
        if (how.calls == nullptr || how.calls->install_in_child()) ::execve(program, arguments, environment);
    }
    const int why = errno;
    [[maybe_unused]] const auto written = ::write(failure, &why, sizeof why);
    ::_exit(127);
}

}  // namespace

std::string tool(const std::string& name) {
    const char* const path = std::getenv("PATH");
    std::istringstream folders(std::string(path == nullptr ? "" : path) + ":/usr/sbin:/sbin");
    for (std::string folder; std::getline(folders, folder, ':');)
        if (const auto found = folder + '/' + name; !folder.empty() && ::access(found.c_str(), X_OK) == 0) return found;
    return {};
}

std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_file(const std::filesystem::path& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary);
    file << text;
    file.close();
    if (!file) throw std::runtime_error("cannot write " + path.string());
}

temporary_directory::temporary_directory() {
    std::string name = (std::filesystem::temp_directory_path() / "curfew-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) fail("mkdtemp");
    path_ = name;
}

temporary_directory::~temporary_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

process::process(options how) {
    output_ = how.directory.string() + ".stdout";
    errors_ = how.directory.string() + ".stderr";
    const int output = open_for_writing(output_);
    int errors = -1;
    if (how.full_stderr) {
        int ends[2];
        make_full_pipe(ends);
        unread_ = ends[0];
        errors = ends[1];
    } else {
        errors = open_for_writing(errors_);
    }
    how.arguments.insert(how.arguments.begin(), how.program);
    const auto arguments = pointers(how.arguments);
    const auto environment = pointers(how.environment);
    const auto directory = how.directory.string();

    // Closed by exec: end of file says that the program runs, a number says why not.
    int failure[2];
    if (::pipe2(failure, O_CLOEXEC) != 0) fail("pipe2");
    pid_ = ::fork();
    if (pid_ < 0) fail("fork");
    if (pid_ == 0)
        become(how.program.c_str(), const_cast<char**>(arguments.data()), const_cast<char**>(environment.data()),
               directory.c_str(), output, errors, failure[1], how);
    ::close(failure[1]);
    ::close(output);
    ::close(errors);
    int why = 0;
    const auto count = ::read(failure[0], &why, sizeof why);
    ::close(failure[0]);
    if (count > 0) {
        ::waitpid(pid_, nullptr, 0);
        throw std::runtime_error(fmt::format("cannot start {}: {}", how.program, std::strerror(why)));
    }
    if (how.calls != nullptr) how.calls->listen();
    handle_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));  // the header of glibc 2.36 is not for C++
}

process::~process() {
    if (!status_) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    if (handle_ >= 0) ::close(handle_);
    if (unread_ >= 0) ::close(unread_);
}

clock::time_point process::signal(int number) const {
    const auto now = clock::now();
    if (!status_) ::kill(pid_, number);
    return now;
}

bool process::reap() {
    int raw = 0;
    if (::waitpid(pid_, &raw, WNOHANG) != pid_) return false;
    exit_status status;
    status.at = clock::now();
    if (WIFEXITED(raw)) status.code = WEXITSTATUS(raw);
    if (WIFSIGNALED(raw)) status.signal = WTERMSIG(raw);
    status_ = status;
    return true;
}

std::optional<exit_status> process::wait(milliseconds limit) {
    const auto deadline = clock::now() + limit;
    while (!status_ && !reap()) {
        int left = poll_timeout(deadline);
        if (left == 0) break;
        pollfd watched = {handle_, POLLIN, 0};
        if (handle_ < 0) left = std::min(left, 2);  // no pidfd here: look again soon
        ::poll(&watched, 1, left);
    }
    return status_;
}

bool process::blocks(int number) const {
    const auto status = read_file(fmt::format("/proc/{}/status", pid_));
    const auto at = status.find("SigBlk:");
    if (at == std::string::npos) return false;
    const auto mask = std::stoull(status.substr(at + 7, 32), nullptr, 16);
    return (mask >> (number - 1) & 1) != 0;
}

}  // namespace support
