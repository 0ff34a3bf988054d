#include "server/tls/watch.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>

#include "lifecycle/context.hpp"

namespace server::tls {
namespace {

using lifecycle::clock;
using std::chrono::milliseconds;

constexpr std::uint32_t changes =
    IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_MOVE_SELF | IN_ONLYDIR;

class descriptor {
public:
    explicit descriptor(int number, const char* call) : number_(number) {
        if (number < 0) throw std::system_error(errno, std::generic_category(), call);
    }
    ~descriptor() { ::close(number_); }
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    int get() const noexcept { return number_; }

private:
    const int number_;
};

/// Of each path, and those that hold a link on the way to it.
std::set<std::filesystem::path> folders_of(const std::vector<std::string>& files) {
    std::set<std::filesystem::path> all;
    for (const auto& file : files) {
        std::error_code ignored;
        auto folder = std::filesystem::absolute(file, ignored).parent_path();
        all.insert(folder);
        for (; folder != folder.root_path(); folder = folder.parent_path())
            if (std::filesystem::is_symlink(folder, ignored)) all.insert(folder.parent_path());
    }
    return all;
}

/// Also those that have been created again. One that is not there is found by the next poll.
void watch(int events, const std::set<std::filesystem::path>& folders) {
    for (const auto& folder : folders) ::inotify_add_watch(events, folder.c_str(), changes);
}

/// A folder that has another name now is none of those that are watched, and the next look finds what has its name.
void drain(int events) {
    alignas(inotify_event) char some[4096];
    for (ssize_t count = 0; (count = ::read(events, some, sizeof some)) > 0;)
        for (const char* at = some; at < some + count;) {
            const auto& event = *reinterpret_cast<const inotify_event*>(at);
            if ((event.mask & IN_MOVE_SELF) != 0) ::inotify_rm_watch(events, event.wd);
            at += sizeof event + event.len;
        }
}

}  // namespace

void watch_files(const std::vector<std::string>& files, const pace& by, const std::function<bool()>& look,
                 const std::stop_token& token) {
    const descriptor events(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK), "inotify_init1");
    const descriptor stopped(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
    const std::stop_callback wake(token, [&stopped] {
        const std::uint64_t increment = 1;
        [[maybe_unused]] const auto written = ::write(stopped.get(), &increment, sizeof increment);
    });
    const auto folders = folders_of(files);
    watch(events.get(), folders);
    std::size_t faults = 0;
    auto next = clock::now() + by.quiet;     // for what has changed before anybody watched
    auto latest = clock::time_point::max();  // of a look for changes that go on and on
    while (!token.stop_requested()) {
        const auto left = std::chrono::ceil<milliseconds>(std::min(next, latest) - clock::now());
        pollfd waiting[] = {{.fd = events.get(), .events = POLLIN, .revents = 0},
                            {.fd = stopped.get(), .events = POLLIN, .revents = 0}};
        ::poll(waiting, 2, static_cast<int>(std::max<milliseconds::rep>(0, left.count())));
        const auto now = clock::now();
        if (waiting[0].revents != 0) {
            drain(events.get());
            if (latest == clock::time_point::max()) latest = now + by.at_most;
            next = now + by.quiet;
        }
        if (now < std::min(next, latest) || token.stop_requested()) continue;
        latest = clock::time_point::max();
        watch(events.get(), folders);
        const bool well = look();
        next = clock::now() + (!well && faults < by.again.size() ? by.again[faults] : by.poll);
        faults = well ? 0 : faults + 1;
    }
}

}  // namespace server::tls
