#include "cmd/service/upgrade/in_place_upgrade.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <fstream>
#include <utility>

#include "cmd/service/systemd/listen_fds.hpp"
#include "cmd/service/systemd/notify_socket.hpp"
#include "cmd/service/upgrade/successor.hpp"
#include "configs/values.hpp"
#include "lifecycle/lines.hpp"

namespace {

/// The path that exec was given (getauxval(3)), absolute, its symbolic links not followed: an upgrade may consist in
/// pointing one elsewhere. /proc/self/exe would be the old file for ever.
std::string program_path() {
    const auto* const given = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
    std::error_code ignored;
    return given == nullptr ? std::string() : std::filesystem::absolute(given, ignored).string();
}

std::vector<std::string> own_arguments() {
    std::vector<std::string> arguments;
    std::ifstream file("/proc/self/cmdline", std::ios::binary);
    for (std::string text; std::getline(file, text, '\0');) arguments.push_back(std::move(text));
    return arguments;
}

}  // namespace

in_place_upgrade::in_place_upgrade(server::http_server& app, server::http_server& debug, lifecycle::stop_channel& stop,
                                   std::chrono::milliseconds timeout, spdlog::logger& log)
    : app_(app),
      debug_(debug),
      stop_(stop),
      timeout_(timeout),
      log_(log),
      app_listener_(app.listening()),
      debug_listener_(debug.listening()),
      owns_app_(app.owns_listener()),
      owns_debug_(debug.owns_listener()),
      program_(program_path()),
      arguments_(own_arguments()) {
    if (!follows_another()) return;
    const auto pipe = configs::parse_number(systemd::text_of(upgrade::ready_variable));
    if (!pipe || ::fcntl(static_cast<int>(*pipe), F_SETFD, FD_CLOEXEC) != 0) return;
    predecessor_ = static_cast<int>(*pipe);
    const auto owned = configs::split_list(systemd::text_of(upgrade::owned_variable));
    owns_app_ = owns_app_ || std::ranges::count(owned, "app") > 0;
    owns_debug_ = owns_debug_ || std::ranges::count(owned, "debug") > 0;
}

bool in_place_upgrade::follows_another() {
    // Else it is meant for another process.
    return systemd::text_of("LISTEN_PID") == std::to_string(::getpid()) &&
           !systemd::text_of(upgrade::ready_variable).empty();
}

in_place_upgrade::~in_place_upgrade() {
    if (predecessor_ >= 0) ::close(predecessor_);
}

void in_place_upgrade::ready() noexcept {
    if (predecessor_ < 0) return;
    if (owns_app_) app_.take_listener();
    if (owns_debug_) debug_.take_listener();
    [[maybe_unused]] const auto written = ::write(predecessor_, "R", 1);
    ::close(std::exchange(predecessor_, -1));
}

void in_place_upgrade::run() {
    if (::getpid() == 1) {
        log_.error("SIGUSR2 ignored: this is process 1, and everything that it has started ends with it");
        return;
    }
    try {
        lifecycle::lines(log_).info("upgrade: starting {path}", program_);
        if (arguments_.empty()) throw std::runtime_error("/proc/self/cmdline could not be read");
        const std::string owned = fmt::format("{}{}{}", owns_app_ ? "app" : "", owns_app_ && owns_debug_ ? "," : "",
                                              owns_debug_ ? "debug" : "");
        upgrade::successor next(program_, arguments_, app_listener_, debug_listener_, owned);
        next.wait_until_ready(timeout_, [this] { return stop_.stopping(); });
        lifecycle::lines(log_).info("upgrade: process {pid} is ready and has the listeners; this one drains",
                                    next.pid());
        const systemd::notify_socket notify(systemd::text_of("NOTIFY_SOCKET"));
        notify.insist(fmt::format("MAINPID={}", next.pid()));
        handed_over_.store(true, std::memory_order_release);
        // Before the stop: a listener that others have must not be closed as one that this process alone owns.
        app_.hand_over();
        debug_.hand_over();
        stop_after(next.pid());
    } catch (const std::exception& e) {
        lifecycle::lines(log_).error("upgrade failed, this process stays: {error}", e.what());
    }
}

/// A stop may have begun in the last moment in which this process was all of the service, and that is what is to end
/// then. But what POST /debug/shutdown has begun can be left until its lame duck is over, and there would be no
/// listener here any more: a process that leaves it leaves the service to the successor.
void in_place_upgrade::stop_after(pid_t next) {
    constexpr int look_ms = 5;
    for (;; ::poll(nullptr, 0, look_ms)) {
        stop_.request("upgrade");
        const auto status = stop_.now();
        if (status.cause == "upgrade") return;
        if (status.phase > lifecycle::stop_phase::lame_duck) break;
    }
    ::kill(next, SIGTERM);
}
