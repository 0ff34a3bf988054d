#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/service.hpp"

namespace integration {

/// The service under a path that a test can point elsewhere, and the processes that followed it by SIGUSR2. Only one at
/// a time.
class generations {
public:
    explicit generations(std::vector<std::string> flags = {}, std::vector<std::string> environment = {});
    ~generations();
    generations(const generations&) = delete;
    generations& operator=(const generations&) = delete;

    /// The first one: its places, its directory, and the log of all.
    service& first() { return *service_; }
    pid_t pid() const { return pid_; }
    /// True once the log of all says this.
    bool says(const std::string& words) const;

    /// What an upgrade starts from now on.
    void install(const std::filesystem::path& program);
    void install_script(const std::string& text);

    void signal(int number) const;
    /// SIGUSR2, then blocks until the next one is ready and this one has ended. Returns this one's exit code and its
    /// report; throws when the next one does not come.
    std::pair<int, boost::json::object> upgrade();
    /// The same without the signal, which has been sent already.
    std::pair<int, boost::json::object> followed();
    /// SIGTERM to the last one; the same.
    std::pair<int, boost::json::object> stop();

private:
    pid_t announced() const;
    std::pair<int, boost::json::object> end_of(pid_t pid) const;

    support::temporary_directory root_;
    std::filesystem::path program_;
    std::unique_ptr<service> service_;
    pid_t pid_ = -1;
    bool ended_ = false;
};

}  // namespace integration
