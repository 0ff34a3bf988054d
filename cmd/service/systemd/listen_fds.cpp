#include "cmd/service/systemd/listen_fds.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "configs/values.hpp"

namespace systemd {
namespace {

constexpr int first_descriptor = 3;             // SD_LISTEN_FDS_START
constexpr std::uint64_t most_descriptors = 64;  // more than anybody means

int option(int descriptor, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return ::getsockopt(descriptor, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

bool listens_to_a_stream(int descriptor) {
    const int family = option(descriptor, SO_DOMAIN);
    const bool tcp = (family == AF_INET || family == AF_INET6) && option(descriptor, SO_PROTOCOL) == IPPROTO_TCP;
    const bool unix_stream = family == AF_UNIX && option(descriptor, SO_TYPE) == SOCK_STREAM;
    return (tcp || unix_stream) && option(descriptor, SO_ACCEPTCONN) == 1;
}

}  // namespace

std::string text_of(const configs::environment& variables, const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
}

std::string text_of(const char* name) { return text_of(configs::environment_of(environ), name); }

std::map<std::string, int> listen_fds(const configs::environment& variables, const std::vector<std::string>& names) {
    // Meant for another process when the number is another's: a parent that did not clean up.
    if (text_of(variables, "LISTEN_PID") != std::to_string(::getpid())) return {};
    const auto text = text_of(variables, "LISTEN_FDS");
    const auto count = configs::parse_number(text);
    if (!count || *count > most_descriptors)
        throw std::runtime_error(
            fmt::format("LISTEN_FDS = \"{}\": allowed is a whole number from 0 to {}", text, most_descriptors));
    std::istringstream given(text_of(variables, "LISTEN_FDNAMES"));
    std::map<std::string, int> sockets;
    for (int nth = 0; nth < static_cast<int>(*count); ++nth) {
        std::string name;
        std::getline(given, name, ':');
        const int descriptor = first_descriptor + nth;
        if (std::ranges::find(names, name) == names.end())
            throw std::runtime_error(fmt::format("LISTEN_FDNAMES: descriptor {} is named \"{}\": allowed are {}",
                                                 descriptor, name, fmt::join(names, ", ")));
        if (!listens_to_a_stream(descriptor))
            throw std::runtime_error(
                fmt::format("LISTEN_FDS: descriptor {}, {}, is not a listening TCP socket, nor a UNIX one of streams",
                            descriptor, name));
        if (!sockets.emplace(name, descriptor).second)
            throw std::runtime_error(fmt::format("LISTEN_FDNAMES: {} comes twice: allowed is one socket each", name));
        ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
        ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
    }
    return sockets;
}

}  // namespace systemd
