#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <semaphore>
#include <sstream>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lifecycle/done_collector.hpp"
#include "tests/support/eventually.hpp"

namespace fakes {

using lifecycle::clock;

/// With more patience, for what runs under sanitizers on a busy machine.
template <class Condition>
bool eventually(const Condition& condition) {
    return support::eventually(condition, std::chrono::seconds(20));
}

/// Blocks until the token asks to stop: the simplest part there is.
inline void until_asked(const std::stop_token& token) {
    std::binary_semaphore asked{0};
    const std::stop_callback wake(token, [&asked] { asked.release(); });
    asked.acquire();
}

/// Blocks in poll(2) for ever, or until `descriptor` says something: a part that ignores its stop.
inline void hang(int descriptor = -1) {
    pollfd watched{descriptor, POLLIN, 0};
    while (::poll(&watched, descriptor >= 0 ? 1 : 0, 60'000) == 0) continue;
}

/// Keeps every line.
class line_sink final : public spdlog::sinks::base_sink<std::mutex> {
public:
    std::function<void(std::string_view)> on_line = nullptr;  ///< must not log; set before there is a line

    bool has(std::string_view text) { return count(text) > 0; }
    int count(std::string_view text) {
        const std::scoped_lock lock(mutex_);
        int found = 0;
        for (const auto& line : lines_) found += line.find(text) != std::string::npos;
        return found;
    }
    std::string last() {
        const std::scoped_lock lock(mutex_);
        return lines_.empty() ? std::string() : lines_.back();
    }
    std::string text() {
        const std::scoped_lock lock(mutex_);
        std::string all;
        for (const auto& line : lines_) all += line + '\n';
        return all;
    }

private:
    void sink_it_(const spdlog::details::log_msg& message) override {
        lines_.emplace_back(message.payload.data(), message.payload.size());
        if (on_line) on_line(lines_.back());
    }
    void flush_() override {}
    std::vector<std::string> lines_;
};

/// A folder that goes away.
class folder {
public:
    folder() {
        std::string name = (std::filesystem::temp_directory_path() / "lifecycle-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
        path_ = name;
    }
    ~folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;

    std::string file(const char* name) const { return (path_ / name).string(); }
    std::vector<std::string> names() const {
        std::vector<std::string> all;
        for (const auto& entry : std::filesystem::directory_iterator(path_)) all.push_back(entry.path().filename());
        return all;
    }

private:
    std::filesystem::path path_;
};

inline std::string content_of(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

/// While one lives, stderr is something else: what `signals` looks at when it is made.
class stderr_is {
public:
    explicit stderr_is(int descriptor) : kept_(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)) {
        ::dup2(descriptor, STDERR_FILENO);
        ::close(descriptor);
    }
    ~stderr_is() {
        ::dup2(kept_, STDERR_FILENO);
        ::close(kept_);
    }
    stderr_is(const stderr_is&) = delete;
    stderr_is& operator=(const stderr_is&) = delete;

private:
    int kept_;
};

/// The signals of a process whose stderr is no terminal.
struct signals_without_terminal {
    signals_without_terminal() : quiet(::open("/dev/null", O_WRONLY | O_CLOEXEC)) {}
    stderr_is quiet;
    lifecycle::signals signals;
};

/// What main has on its stack, and how it leaves: without the alarm clock, which would end the test
/// program long after the test, and without a signal that the next test would meet.
class process {
public:
    explicit process(lifecycle::shutdown_options options = brisk()) : stop(options) {}
    ~process() {
        signals().arm_hard_stop({});
        while (signals().next().what != lifecycle::signals::kind::none) continue;
    }
    process(const process&) = delete;
    process& operator=(const process&) = delete;

    static lifecycle::shutdown_options brisk() {
        lifecycle::shutdown_options options;
        options.budget = std::chrono::seconds(20);
        options.idle_grace = std::chrono::milliseconds(0);
        return options;
    }

    lifecycle::signals& signals() { return signals_.signals; }

    /// Adds a part and runs it. "app" serves clients, the others have a share of their own.
    lifecycle::part run(const std::string& name, std::function<void(std::stop_token)> body,
                        std::chrono::milliseconds reserved = {}) {
        const auto added = stop.add_part(name, name == "app" ? lifecycle::serves_clients : lifecycle::share(reserved));
        {
            const std::scoped_lock lock(mutex_);
            parts_.push_back(added);
            if (up_) added.up();
        }
        done.run(added, std::move(body));
        return added;
    }
    /// Every part is up; blocks until the process is ready by that, or a stop has begun.
    void ready() {
        {
            const std::scoped_lock lock(mutex_);
            up_ = true;
            for (const auto& part : parts_) part.up();
        }
        EXPECT_TRUE(eventually([&] { return stop.has_been_ready() || stop.stopping(); }));
    }
    void send(int signal) { ::kill(::getpid(), signal); }
    /// Sends it once main has seen an earlier one and it is an order of its own. Not on main's thread.
    void send_again(int signal) {
        EXPECT_TRUE(
            eventually([&] { return stop.stopping() && stop.now().elapsed >= lifecycle::stop_sequence::one_order; }));
        send(signal);
    }

private:
    std::mutex mutex_;
    std::vector<lifecycle::part> parts_;
    bool up_ = false;
    signals_without_terminal signals_;  // first, as in main: the threads inherit the mask

public:
    std::shared_ptr<line_sink> lines = std::make_shared<line_sink>();
    spdlog::logger log{"test", lines};
    lifecycle::workers workers;
    lifecycle::stop_channel stop;
    lifecycle::done_collector done{stop, signals(), workers, log};
};

/// Runs `body` in a process of its own, which it ends itself, or with what `body` returns. Its exit
/// code, or 1000 + the signal that ended it.
inline int exit_code_of(const std::function<int()>& body) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(60);                // whatever happens, nothing is left behind
        std::thread([] {}).join();  // ThreadSanitizer has a thread of its own by now: it is not counted as one of ours
        ::_exit(body());
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

}  // namespace fakes
