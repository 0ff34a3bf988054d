#include "tracker/http_connection/connect_race.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <cerrno>
#include <utility>

namespace tracker {
namespace {

using tcp = boost::asio::ip::tcp;
using boost::system::error_code;

/// Not by Asio, whose sockets are inherited by whatever this process executes.
error_code open(tcp::socket& socket, const tcp& protocol) {
    const int descriptor = ::socket(protocol.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    if (descriptor < 0) return {errno, boost::system::system_category()};
    error_code error;
    socket.assign(protocol, descriptor, error);
    if (error) ::close(descriptor);  // epoll has no room for it: it is not the socket's
    return error;
}

}  // namespace

connect_race::connect_race(boost::asio::io_context& io, std::vector<tcp::endpoint> to,
                           std::chrono::milliseconds spacing)
    : io_(io), to_(std::move(to)), spacing_(spacing), timer_(io), last_(boost::asio::error::host_not_found) {}

connect_race::~connect_race() {
    close();
    io_.restart();
    io_.run();
}

void connect_race::start(std::function<void(error_code)> done) {
    done_ = std::move(done);
    next();
}

void connect_race::close() noexcept {
    over_ = true;
    timer_.cancel();
    error_code ignored;
    for (std::size_t i = 0; i < sockets_.size(); ++i)
        if (i != winner_) sockets_[i].close(ignored);
}

connect_race::tcp::socket connect_race::release() { return std::move(sockets_.at(winner_.value())); }

/// Begins with the next address; without one, all is over when the last that is under way has failed.
void connect_race::next() {
    while (sockets_.size() < to_.size()) {
        const auto nth = sockets_.size();
        auto& socket = sockets_.emplace_back(io_);
        if (const auto error = open(socket, to_[nth].protocol())) {
            last_ = error;
            continue;
        }
        ++under_way_;
        socket.async_connect(to_[nth], [this, nth](error_code error) { ended(nth, error); });
        if (sockets_.size() < to_.size()) wait();
        return;
    }
    if (under_way_ == 0) std::exchange(done_, nullptr)(last_);
}

void connect_race::wait() {
    timer_.expires_after(spacing_);
    timer_.async_wait([this](error_code error) {
        if (!error && !over_) next();
    });
}

void connect_race::ended(std::size_t nth, error_code error) {
    --under_way_;
    if (!done_) return;
    if (!error && !over_) {
        winner_ = nth;
        close();
        std::exchange(done_, nullptr)({});
        return;
    }
    if (error) last_ = error;
    if (!over_) {
        timer_.cancel();
        next();
    } else if (under_way_ == 0) {
        std::exchange(done_, nullptr)(boost::asio::error::operation_aborted);
    }
}

std::vector<tcp::endpoint> interleaved(std::vector<tcp::endpoint> addresses) {
    for (std::size_t i = 1; i < addresses.size(); ++i) {
        const auto from = addresses.begin() + static_cast<std::ptrdiff_t>(i);
        const auto family = addresses[i - 1].protocol();
        const auto other =
            std::find_if(from, addresses.end(), [&](const auto& address) { return address.protocol() != family; });
        if (other != addresses.end()) std::rotate(from, other, std::next(other));
    }
    return addresses;
}

}  // namespace tracker
