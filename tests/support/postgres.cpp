#include "tests/support/postgres.hpp"

#include <signal.h>
#include <unistd.h>

#include <sstream>
#include <stdexcept>

namespace support {
namespace {

constexpr milliseconds patience(60'000);
constexpr int nobody = 65534;

}  // namespace

std::filesystem::path postgres::programs() {
    std::filesystem::path newest;
    std::error_code none;
    for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", none))
        if (std::filesystem::exists(version.path() / "bin/initdb")) newest = std::max(newest, version.path() / "bin");
    return newest;
}

process::options postgres::how(const char* program, std::vector<std::string> arguments) const {
    process::options made{.program = (programs() / program).string(),
                          .arguments = std::move(arguments),
                          .environment = {"PATH=/usr/bin:/bin", "LC_ALL=C"},
                          .directory = folder_.path()};
    if (::geteuid() != 0) return made;
    std::vector<std::string> as_nobody{"--reuid=65534", "--regid=65534", "--clear-groups", "--pdeathsig=KILL",
                                       made.program};
    as_nobody.insert(as_nobody.end(), made.arguments.begin(), made.arguments.end());
    made.arguments = std::move(as_nobody);
    made.program = tool("setpriv");
    return made;
}

postgres::postgres() {
    if (::geteuid() == 0 && ::chown(folder_.path().c_str(), nobody, nobody) != 0)
        throw std::runtime_error("nobody cannot have " + folder_.path().string());
    process made(how("initdb", {"-D", (folder_.path() / "data").string(), "-U", "postgres", "-A", "trust", "-E", "UTF8",
                                "--no-locale", "--no-sync"}));
    const auto ended = made.wait(patience);
    if (!ended || ended->code != 0) throw std::runtime_error("initdb: " + made.err());
    const auto data = folder_.path() / "data";
    process_ = std::make_unique<process>(
        how("postgres", {"-D", data.string(), "-k", folder_.path().string(), "-c", "listen_addresses=", "-c",
                         "unix_socket_permissions=0777", "-c", "fsync=off", "-c", "max_connections=20"}));
    const auto ready = [&] { return read_file(data / "postmaster.pid").find("ready") != std::string::npos; };
    if (!eventually([&] { return process_->ended() || ready(); }, patience) || process_->ended())
        throw std::runtime_error("postgres: " + process_->err());
}

postgres::~postgres() {
    freeze(false);
    process_->signal(SIGINT);  // it cuts its clients off, and waits for nobody
    process_->wait(patience);
}

void postgres::execute(const std::string& sql) const {
    auto asking =
        how("psql", {"-h", folder().string(), "-U", "postgres", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-c", sql});
    asking.directory = folder() / "data";  // its output goes beside it
    process psql(std::move(asking));
    const auto ended = psql.wait(patience);
    if (!ended || ended->code != 0) throw std::runtime_error("psql: " + psql.err());
}

void postgres::freeze(bool frozen) const {
    const auto number = frozen ? SIGSTOP : SIGCONT;
    std::istringstream children(read_file("/proc/" + std::to_string(process_->pid()) + "/task/" +
                                          std::to_string(process_->pid()) + "/children"));
    process_->signal(number);
    for (pid_t child = 0; children >> child;) ::kill(child, number);
}

}  // namespace support
