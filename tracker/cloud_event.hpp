#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tracker/event.hpp"
#include "tracker/options.hpp"

namespace tracker {

/// Whose headers: each has its own names for the attributes of a CloudEvent.
enum class binding : std::uint8_t { http, nats, kafka };

/// CloudEvents 1.0, binary mode: what goes into the headers of the message whose body are the data of `event`.
/// `specversion`, `id`, `source`, `type` and `time` always, then what its headers say. HTTP and NATS get values in
/// ASCII, whatever is in them, so that none can end its line. Any thread.
std::vector<std::pair<std::string, std::string>> cloud_event(const event& event, const cloud_event_options& options,
                                                             binding whose);

}  // namespace tracker
