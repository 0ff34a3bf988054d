#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/tracker/fakes.hpp"
#include "tracker/spool/record_reader.hpp"
#include "tracker/spool/segment_set.hpp"
#include "tracker/spool/spool.hpp"

namespace fakes {

/// A disk that does what a test says: fails, or forgets what was not synced when the power goes.
class test_disk final : public tracker::disk {
public:
    std::function<int()> write_error = [] { return 0; };  ///< an errno, or 0
    std::function<int()> sync_error = [] { return 0; };
    bool truncates = true;

    int create(const char* path) override {
        if (const int error = write_error()) return failed(error);
        const int file = disk::create(path);
        if (file >= 0) files_[file] = {path};
        return file;
    }
    ssize_t write(int file, std::string_view bytes, off_t at) override {
        const int error = write_error();
        if (error != 0 && bytes.size() < 2) return failed(error);
        // A full disk takes a part first.
        if (error != 0 && torn_) {
            torn_ = false;
            return failed(error);
        }
        torn_ = error != 0;
        return disk::write(file, torn_ ? bytes.substr(0, bytes.size() / 2) : bytes, at);
    }
    int sync(int file) override {
        auto& known = files_[file];
        if (const int error = sync_error()) {
            known.lies = true;  // what it could not write counts as clean: later calls say that all is well
            return failed(error);
        }
        struct stat status = {};
        ::fstat(file, &status);
        if (!known.lies) known.synced = status.st_size;
        return 0;
    }
    int sync_directory(int directory) override {
        const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(directory));
        for (auto& [file, known] : files_)
            if (std::filesystem::path(known.path).parent_path() == path) known.listed = true;
        return 0;
    }
    int truncate(int file, off_t size) override { return truncates ? disk::truncate(file, size) : failed(EIO); }

    /// Everything that was not synced is gone: bytes, and files whose directory was not.
    void lose_power() {
        for (const auto& [file, known] : files_) {
            std::error_code error;
            if (!std::filesystem::exists(known.path)) continue;
            if (known.listed)
                std::filesystem::resize_file(known.path, static_cast<std::uintmax_t>(known.synced), error);
            else
                std::filesystem::remove(known.path, error);
        }
        files_.clear();  // all that is left is on the disk
    }

private:
    struct known_file {
        std::string path;
        off_t synced = 0;
        bool listed = false;
        bool lies = false;
    };
    static int failed(int error) {
        errno = error;
        return -1;
    }
    std::map<int, known_file> files_;
    bool torn_ = false;
};

/// A file that is in memory, and counts what is read of it.
class memory_disk final : public tracker::disk {
public:
    explicit memory_disk(std::string bytes) : bytes_(std::move(bytes)) {}
    ssize_t read(int, std::span<char> into, off_t at) override {
        const auto part =
            std::string_view(bytes_).substr(std::min<std::size_t>(static_cast<std::size_t>(at), bytes_.size()));
        const auto count = part.copy(into.data(), into.size());
        read_bytes += count;
        return static_cast<ssize_t>(count);
    }
    std::uint64_t read_bytes = 0;

private:
    const std::string bytes_;
};

using version = tracker::segment_key::version;

/// What a client can know: the format, and no salt but its own.
inline tracker::segment_key known_key(char salt = 's', version of = version::third) {
    return tracker::segment_key(std::string(tracker::salt_size, salt), of);
}

/// An event with these headers.
inline tracker::event with_headers(tracker::event event,
                                   const std::vector<std::pair<std::string, std::string>>& headers) {
    for (const auto& [name, value] : headers) event.headers.set(name, value);
    return event;
}

/// A segment of the version that the key is of; in the second none of the events has headers.
inline std::string make_segment(const tracker::segment_key& key, const std::vector<tracker::event>& events) {
    auto bytes = key.header();
    for (std::uint64_t sequence = 1; const auto& event : events)
        append_record(bytes, key, bytes.size(), sequence++, event);
    return bytes;
}

/// A record of version 1, which the program does not write any more.
inline void append_first_version(std::string& out, std::uint64_t sequence, const tracker::event& event) {
    const auto number = [](std::uint64_t value, int bytes) {
        std::string text;
        for (; bytes > 0; --bytes, value >>= 8U) text += static_cast<char>(value & 0xffU);
        return text;
    };
    const auto micros = std::chrono::floor<std::chrono::microseconds>(event.time).time_since_epoch().count();
    const auto rest = number(10 + event.id.size() + event.data.size(), 4) + number(sequence, 8) +
                      number(static_cast<std::uint64_t>(micros), 8) + number(event.id.size(), 2) + event.id +
                      event.data;
    out += number(tracker::crc32c(rest), 4) + rest;
}

inline std::string make_first_version(const std::vector<tracker::event>& events) {
    std::string bytes(tracker::first_magic);
    for (std::uint64_t sequence = 1; const auto& event : events) append_first_version(bytes, sequence++, event);
    return bytes;
}

/// A spool in a directory of its own, and what a test needs around it.
struct spool_place {
    spool_place() {
        options.durability = tracker::durability::process;
        options.directory = (root.path() / "events").string();
        options.batch_age = {};
        options.retry_initial = std::chrono::milliseconds(1);
        options.retry_max = std::chrono::milliseconds(10);
        options.replay_rate = 0;
        options.spool_bytes = 128 * 1024;  // so that segments of 4 KiB are allowed
        std::filesystem::create_directories(options.directory);
    }

    std::filesystem::path spool_directory() const { return std::filesystem::path(options.directory) / "spool"; }
    std::vector<std::filesystem::path> segments() const {
        std::vector<std::filesystem::path> all;
        std::error_code error;
        for (const auto& each : std::filesystem::recursive_directory_iterator(spool_directory(), error))
            if (each.path().extension() == ".seg") all.push_back(each.path());
        std::sort(all.begin(), all.end());
        return all;
    }
    /// What an earlier run has left.
    std::filesystem::path leave(const std::string& bytes, const std::string& name = "00000001.seg") const {
        const auto set = spool_directory() / "01EARLIER";
        std::filesystem::create_directories(set);
        support::write_file(set / name, bytes);
        return set / name;
    }
    std::string log() const { return book.text.str(); }

    support::temporary_directory root;
    tracker::options options;
    log_book book;
};

inline std::vector<tracker::event> some_events(const std::vector<std::string>& data) {
    std::vector<tracker::event> all;
    all.reserve(data.size());
    for (const auto& each : data) all.push_back(make_event(each));
    return all;
}

/// Takes and delivers everything that is there, as the worker of a stopped tracker does.
inline std::vector<std::string> drain(tracker::spool& spool, const tracker::options& options) {
    std::vector<std::string> data;
    tracker::batch batch(options);
    spool.close();
    while (spool.of_sink(0).take(batch)) {
        for (const auto& event : batch.events) data.push_back(event.data);
        spool.of_sink(0).settle(batch, tracker::outcome::delivered);
    }
    return data;
}

}  // namespace fakes
