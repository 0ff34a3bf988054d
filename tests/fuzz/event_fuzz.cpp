// Arbitrary events: whatever was recorded, its line is one line, valid JSON, and holds the same text where that was
// UTF-8. The first byte says how much of the input is the id.
#include <algorithm>
#include <boost/json.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "tracker/event.hpp"

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto cut = std::min<std::size_t>(data[0], bytes.size());
    tracker::event event;
    event.id = bytes.substr(0, cut);
    event.data = bytes.substr(cut);
    std::string line;
    tracker::append_json(line, event);
    require(line.find('\n') == line.npos && tracker::is_utf8(line));
    boost::system::error_code error;
    const auto value = boost::json::parse(line, error);
    require(!error && value.is_object() && value.get_object().size() == 3);
    const auto& object = value.get_object();
    const auto same = [&](const char* key, const std::string& text) {
        return !tracker::is_utf8(text) || object.at(key).as_string() == text;
    };
    require(same("id", event.id) && same("data", event.data));
    return 0;
}
