// The reader of the spool. An even first byte: the input is a file. It ends, reads no byte twice as often as it may,
// and what it finds can be written again. An odd one: an adversary has written the data of three events, and then the
// file is wounded; nothing is found that was not accepted. The secret is made from the input, since a fuzzer that sees
// what is compared would learn one that stays.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "tracker/spool/record_reader.hpp"

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

class memory_disk final : public tracker::disk {
public:
    explicit memory_disk(std::string_view bytes) : bytes_(bytes) {}
    ssize_t read(int, std::span<char> into, off_t at) override {
        const auto from = std::min(static_cast<std::size_t>(at), bytes_.size());
        const auto count = bytes_.copy(into.data(), into.size(), from);
        read_bytes += count;
        return static_cast<ssize_t>(count);
    }
    std::size_t read_bytes = 0;

private:
    std::string_view bytes_;
};

/// `first_version`: what a set says whose lock is empty.
std::vector<tracker::event> read_all(std::string_view bytes, bool first_version) {
    const auto key = tracker::segment_key::read(bytes.substr(0, tracker::segment_header_size));
    const bool old = first_version && bytes.starts_with(tracker::first_magic);
    if (!key && !old) return {};
    memory_disk disk(bytes);
    const auto begin = key ? tracker::segment_header_size : tracker::first_magic.size();
    if (bytes.size() < begin) return {};
    tracker::record_reader reader(disk, 0, key ? &*key : nullptr, begin, bytes.size());
    std::vector<tracker::event> all;
    tracker::event event;
    do {
        while (reader.next(event)) all.push_back(event);
        require(reader.at() <= bytes.size());
    } while (reader.at() != bytes.size() && reader.skip_damage());
    require(disk.read_bytes <= 4 * bytes.size() + 4096);
    return all;
}

void file(std::string_view bytes) {
    for (const auto& event : read_all(bytes, true)) require(tracker::record_size(event) <= bytes.size() + 12);
}

using version = tracker::segment_key::version;

tracker::segment_key secret_of(std::string_view bytes, version of) {
    const tracker::polynomial_digest digest(0x6a09e667f3bcc908);
    std::string salt;
    for (std::uint64_t i = 0; salt.size() < tracker::salt_size; ++i) {
        const auto word = tracker::siphash({digest(bytes), 0x510e527fade682d1}, {i});
        salt.append(reinterpret_cast<const char*>(&word), sizeof word);
    }
    return tracker::segment_key(salt, of);
}

void adversary(std::string_view bytes) {
    const std::size_t wounds = bytes.empty() ? 0 : static_cast<unsigned char>(bytes[0]) % 6;
    const auto plan = bytes.substr(0, std::min(bytes.size(), 1 + 4 * wounds));
    const auto data = bytes.substr(plan.size());
    std::vector<tracker::event> sent;
    for (const std::string id : {"a", "b", "c"})
        sent.push_back({.id = id, .time = {}, .data = std::string(data.substr(0, 2000))});
    // Of the third version the adversary writes headers too, as far as a header can be so.
    const bool third = !bytes.empty() && (static_cast<unsigned char>(bytes[0]) & 0x80U) != 0;
    const auto key = secret_of(bytes, third ? version::third : version::second);
    if (third) {
        sent[0].headers.set("x", data.substr(0, 300));
        sent[2].headers.set("datacontenttype", "text/plain");
    }
    auto segment = key.header();
    for (std::uint64_t sequence = 1; const auto& event : sent)
        append_record(segment, key, segment.size(), sequence++, event);
    for (std::size_t i = 1; i + 3 < plan.size(); i += 4) {
        const auto number = [&](std::size_t at) { return std::size_t{static_cast<unsigned char>(plan[at])}; };
        const auto at = (number(i) << 8U | number(i + 1)) % (segment.size() + 1);
        const auto length = std::min(number(i + 3), segment.size() - at);
        switch (number(i + 2) % 5) {
            case 0: segment.resize(at); break;
            case 1: segment.replace(at, length, std::string(length, '\0')); break;
            case 2: segment.erase(at, length); break;
            case 3: segment.insert(at, segment.substr(length, 400)); break;
            default: segment.replace(at, length, data.substr(0, length)); break;
        }
    }
    for (const auto& found : read_all(segment, false))
        require(std::ranges::any_of(sent, [&](const auto& each) {
            return each.id == found.id && each.time == found.time && each.data == found.data &&
                   each.headers == found.headers;
        }));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] % 2 == 0)
        file(bytes);
    else
        adversary(bytes);
    return 0;
}
