#pragma once

#include <string>
#include <string_view>

#include "lifecycle/context.hpp"
#include "server/options.hpp"

namespace server::tls {

/// Sends `request` through TLS over `socket`, which is connected and does not block, and receives until the end of the
/// answer, 4 KiB of it or `until`. For a process that asks another of its own kind on this machine: it shows the same
/// certificate as that one, in case it must show one, and checks none. Empty: there is no answer.
std::string ask(int socket, std::string_view request, const tls_options& of_both, lifecycle::clock::time_point until);

}  // namespace server::tls
