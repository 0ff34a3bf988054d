// How fast a start reads what an earlier run has left: docs/tracker.md, "Recovery". By bench/tracker/recovery.
//   recovery make DIRECTORY MIB BYTES     a spool of this much, of events of this many bytes
//   recovery hostile DIRECTORY MIB        one event, full of heads that could be one, whose own is damaged
//   recovery wound DIRECTORY COUNT        one flipped bit at this many places of it
//   recovery read DIRECTORY               prints SECONDS EVENTS, from the first look to the first event in hand
//   recovery stop DIRECTORY AFTER_MS      prints MILLISECONDS until a stop in the middle of that is heard
#include <spdlog/logger.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tracker/spool/record.hpp"
#include "tracker/spool/spool.hpp"

namespace {

using lifecycle::clock;

tracker::options options_in(const std::string& directory) {
    tracker::options options;
    options.directory = directory;
    options.sinks = {"none"};
    options.spool_bytes = std::size_t{1} << 40U;
    return options;
}

/// The segments of earlier runs, with what is in each.
std::vector<std::filesystem::path> segments_in(const std::string& directory) {
    std::vector<std::filesystem::path> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
        if (entry.path().extension() == ".seg") all.push_back(entry.path());
    std::ranges::sort(all);
    return all;
}

void append(const std::string& directory, std::uint64_t bytes, const std::string& data) {
    auto options = options_in(directory);
    options.segment_bytes = std::size_t{32} << 20U;
    options.spool_bytes = std::size_t{32} * options.segment_bytes;
    spdlog::logger log("silent");
    tracker::spool spool(options, log);
    std::vector<tracker::event> events(
        std::max<std::size_t>(1, std::min<std::size_t>(256, (256 * 1024) / (data.size() + 1))));
    for (std::uint64_t written = 0; written < bytes; written += events.size() * (data.size() + 64)) {
        for (auto& event : events) event = {.id = tracker::make_id(), .data = data};
        if (spool.append(events) != tracker::verdict::accepted) return;  // it is full
    }
}

void hostile(const std::string& directory, std::size_t mib) {
    std::string data;
    while (data.size() < mib << 20U)
        data += std::string("\x01\x02\x03\x04\x00\x40\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00", 16);
    append(directory, 1, data);
    const auto path = segments_in(directory).at(0);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(tracker::segment_header_size);
    file.put('?');
}

void wound(const std::string& directory, int count) {
    std::mt19937_64 random(1);
    const auto all = segments_in(directory);
    for (; count > 0; --count) {
        const auto& path = all[random() % all.size()];
        const auto size = std::filesystem::file_size(path) - tracker::segment_header_size;
        const auto at = static_cast<std::streamoff>(tracker::segment_header_size + random() % size);
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekg(at);
        const int was = file.get();
        file.seekp(at);
        file.put(static_cast<char>(was ^ 1 << random() % 8));
    }
}

/// Takes over what is there, gives it up again.
void read(const std::string& directory) {
    const auto options = options_in(directory);
    spdlog::logger log("silent");
    tracker::spool spool(options, log);
    tracker::batch batch(options);
    const auto began = clock::now();
    if (!spool.of_sink(0).take(batch)) throw std::runtime_error("nothing is there");
    const std::chrono::duration<double> lasted = clock::now() - began;
    std::printf("%.3f %llu\n", lasted.count(), static_cast<unsigned long long>(spool.account().recovered));
    spool.of_sink(0).settle(batch, tracker::outcome::given_up);
}

void stop(const std::string& directory, int after) {
    const auto options = options_in(directory);
    spdlog::logger log("silent");
    tracker::spool spool(options, log);
    std::jthread worker([&] {
        tracker::batch batch(options);
        if (spool.of_sink(0).take(batch)) spool.of_sink(0).settle(batch, tracker::outcome::given_up);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(after));
    const auto left = spool.recovery_left();
    const auto began = clock::now();
    spool.close();
    worker.join();
    const std::chrono::duration<double, std::milli> lasted = clock::now() - began;
    std::printf("%.2f %llu\n", lasted.count(), static_cast<unsigned long long>(left));
}

}  // namespace

int main(int count, char** arguments) try {
    const std::vector<std::string> given(arguments + 1, arguments + count);
    const auto number = [&](std::size_t at) { return std::stoi(given.at(at)); };
    const std::map<std::string, std::function<void(const std::string&)>> all{
        {"make",
         [&](const auto& to) {
             append(to, std::uint64_t(number(2)) << 20U, std::string(static_cast<std::size_t>(number(3)), 'x'));
         }},
        {"hostile", [&](const auto& to) { hostile(to, static_cast<std::size_t>(number(2))); }},
        {"wound", [&](const auto& to) { wound(to, number(2)); }},
        {"read", [](const auto& from) { read(from); }},
        {"stop", [&](const auto& from) { stop(from, number(2)); }},
    };
    all.at(given.at(0))(given.at(1));
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "recovery: %s\n", error.what());
    return 1;
}
