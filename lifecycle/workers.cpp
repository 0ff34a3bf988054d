#include "lifecycle/workers.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <exception>
#include <filesystem>
#include <string>
#include <system_error>

#include "lifecycle/start_guard.hpp"

namespace lifecycle {
namespace {

int threads_of_this_process() {
    std::error_code error;
    std::filesystem::directory_iterator entries("/proc/self/task", error);
    if (error) return -1;
    return static_cast<int>(std::distance(begin(entries), end(entries)));
}

/// A thread that has ended before the first part begins (proc(5), comm).
bool is_of_the_start(const std::filesystem::path& thread) {
    const int file = ::open((thread / "comm").c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    std::string name(start_guard::name.size() + 1, '\0');
    const auto size = ::read(file, name.data(), name.size());
    ::close(file);
    return size == static_cast<ssize_t>(name.size()) && name.starts_with(start_guard::name) && name.back() == '\n';
}

int threads_that_stay() {
    std::error_code error;
    std::filesystem::directory_iterator entries("/proc/self/task", error);
    if (error) return -1;
    const auto stays = [](const auto& entry) { return !is_of_the_start(entry.path()); };
    return static_cast<int>(std::count_if(begin(entries), end(entries), stays));
}

}  // namespace

#if defined(__SANITIZE_THREAD__)
constexpr int least_baseline = 2;  // ThreadSanitizer starts a thread of its own with the first one of ours
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
constexpr int least_baseline = 2;
#else
constexpr int least_baseline = 1;
#endif
#else
constexpr int least_baseline = 1;
#endif

workers::workers() : baseline_(threads_that_stay()) {
    if (baseline_ > 0) baseline_ = std::max(baseline_, least_baseline);
}

workers::~workers() { assert(live_.empty() && "a thread outlives the object that counts it"); }

std::jthread workers::start(std::string name, std::string kind, std::function<void(std::stop_token)> work) {
    // A list, spliced in: nothing can fail between the entry and the thread that is counted by it, and entries stay
    // where they are.
    std::list<entry> made;
    made.push_back({std::move(name), std::move(kind), 0, clock::now()});
    const auto self = made.begin();
    {
        const std::scoped_lock lock(mutex_);
        live_.splice(live_.end(), made);
    }
    try {
        return std::jthread([this, self, work = std::move(work)](std::stop_token stop) mutable {
            {
                const std::scoped_lock lock(mutex_);
                self->thread = static_cast<pid_t>(::syscall(SYS_gettid));
                // The kernel keeps 15 letters and refuses longer names (pthread_setname_np(3)).
                ::pthread_setname_np(::pthread_self(), self->name.substr(0, 15).c_str());
            }
            try {
                work(std::move(stop));
            } catch (...) {
                // Nobody hears of it before main waits: then it ends as an exception out of a thread does.
                if (!died(self->name, std::current_exception())) std::terminate();
            }
            work = nullptr;  // what it holds goes before it counts as gone
            const std::scoped_lock lock(mutex_);
            live_.erase(self);
        });
    } catch (const std::system_error& e) {
        const auto why = "no thread for " + self->name;
        const std::scoped_lock lock(mutex_);
        live_.erase(self);
        throw std::system_error(e.code(), why);
    } catch (...) {
        const std::scoped_lock lock(mutex_);
        live_.erase(self);
        throw;
    }
}

void workers::on_death(std::function<void(const std::string&, const char*)> hear) {
    const std::scoped_lock lock(hearing_);
    hear_ = std::move(hear);
}

bool workers::died(const std::string& name, const std::exception_ptr& error) noexcept {
    const std::scoped_lock lock(hearing_);
    if (!hear_) return false;
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        hear_(name, e.what());
    } catch (...) {
        hear_(name, "an exception that is not a std::exception");
    }
    return true;
}

std::size_t workers::live() const {
    const std::scoped_lock lock(mutex_);
    return live_.size();
}

std::vector<workers::entry> workers::list() const {
    const std::scoped_lock lock(mutex_);
    return {live_.begin(), live_.end()};
}

int workers::threads_left(std::chrono::milliseconds patience) const {
    if (baseline_ < 0) return -1;
    const auto until = clock::now() + patience;
    for (;;) {
        const int left = threads_of_this_process() - baseline_;
        if (left <= 0) return 0;
        if (clock::now() >= until) return left;
        // A thread that has been joined is in /proc for a moment longer.
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

}  // namespace lifecycle
