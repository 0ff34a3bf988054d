#include "server/loop/gone_clients.hpp"

#include <cstddef>

namespace server {

/// What is in the poll set for reading has said nothing. POLLRDHUP is set after unread bytes too, which readability
/// would hide; a reset is seen in any case.
void gone_clients::look(connection_lists::list& works, bool half_close) {
    sockets_.clear();
    owners_.clear();
    for (auto& connection : works) {
        if (!connection.awaits_word() || connection.wants() == poll_set::interest::read) continue;
        const auto events = static_cast<short>(half_close ? 0 : POLLRDHUP);
        sockets_.push_back({.fd = connection.descriptor(), .events = events, .revents = 0});
        owners_.push_back(&connection);
    }
    if (sockets_.empty() || ::poll(sockets_.data(), sockets_.size(), 0) <= 0) return;
    for (std::size_t nth = 0; nth < sockets_.size(); ++nth)
        if ((sockets_[nth].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) owners_[nth]->client_gone();
}

}  // namespace server
