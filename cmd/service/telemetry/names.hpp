#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tracker/sink.hpp"

namespace telemetry {

/// How names are looked up.
struct name_sources {
    std::string hosts = "/etc/hosts";           ///< hosts(5)
    std::string resolver = "/etc/resolv.conf";  ///< resolv.conf(5): nameserver, search, ndots
    std::uint16_t port = 53;
    std::chrono::milliseconds patience{1'000};  ///< with each server, twice
};

/// The addresses of a host as literals, IPv4 first; throws std::runtime_error with one line when there are none.
/// Blocks, but not beyond `until`, which is asked again every 20 ms.
///
/// Not by the C library: a program that is linked whole cannot use its name services (ADR 21), and a thread that waits
/// in getaddrinfo cannot be called back at a stop. So nsswitch.conf, mDNS and answers by TCP are not for telemetry.
std::vector<std::string> look_up(const std::string& host, const tracker::deadline_function& until,
                                 const name_sources& from = {});

/// A question of DNS (RFC 1035, section 4.1); `type` is 1 for A, 28 for AAAA. Empty when the name is not valid.
std::string dns_question(std::string_view name, std::uint16_t type, std::uint16_t id);
/// The addresses in an answer to it. Empty when it is not an answer, or says that there are none.
std::vector<std::string> dns_addresses(std::string_view answer, std::uint16_t type, std::uint16_t id);

}  // namespace telemetry
