#include "tests/integration/generations.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <stdexcept>

namespace integration {

generations::generations(std::vector<std::string> flags, std::vector<std::string> environment)
    : program_(root_.path() / "program") {
    // A process whose parent has ended becomes a child of the test, which sees how it ends.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    install(SERVICE_WITH_MODULES);
    service_ = std::make_unique<service>(
        service::options{.flags = std::move(flags), .environment = std::move(environment), .program = program_});
    pid_ = service_->process().pid();
}

generations::~generations() {
    if (ended_ || pid_ == service_->process().pid()) return;  // that one has an owner
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

bool generations::says(const std::string& words) const {
    return eventually([&] { return service_->err().find(words) != std::string::npos; });
}

void generations::install(const std::filesystem::path& program) {
    std::filesystem::remove(program_);
    std::filesystem::create_symlink(program, program_);
}

void generations::install_script(const std::string& text) {
    std::filesystem::remove(program_);
    support::write_file(program_, "#!/bin/sh\n" + text);
    std::filesystem::permissions(program_, std::filesystem::perms::owner_all);
}

void generations::signal(int number) const { ::kill(pid_, number); }

pid_t generations::announced() const {
    const auto text = support::read_file(service_->directory() / "ready.json");
    return boost::json::parse(text).as_object().at("pid").to_number<pid_t>();
}

std::pair<int, boost::json::object> generations::end_of(pid_t pid) const {
    int code = -1;
    if (pid == service_->process().pid()) {
        code = service_->exit_code();
    } else {
        int status = 0;
        if (!eventually([&] { return ::waitpid(pid, &status, WNOHANG) == pid; }, milliseconds(30'000)))
            throw std::runtime_error(fmt::format("process {} does not end: {}", pid, service_->err()));
        if (WIFEXITED(status)) code = WEXITSTATUS(status);
    }
    return {code, service_->report()};
}

std::pair<int, boost::json::object> generations::upgrade() {
    signal(SIGUSR2);
    return followed();
}

std::pair<int, boost::json::object> generations::followed() {
    const auto old = pid_;
    if (!eventually([&] { return announced() != old; }, milliseconds(20'000)))
        throw std::runtime_error("nobody follows: " + service_->err());
    pid_ = announced();
    return end_of(old);
}

std::pair<int, boost::json::object> generations::stop() {
    signal(SIGTERM);
    auto end = end_of(pid_);
    ended_ = true;
    return end;
}

}  // namespace integration
