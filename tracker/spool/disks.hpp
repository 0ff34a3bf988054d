#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tracker/disk.hpp"

namespace tracker {

/// A disk whose failures are counted, by the name of the call. What tells of a name that it is not there, or no file,
/// is an answer and no failure. Safe from any thread as far as `to` is, which must outlive it.
class counting_disk final : public disk {
public:
    explicit counting_disk(disk& to) noexcept : to_(to) {}

    int create(const char* path) override;
    ssize_t write(int file, std::string_view bytes, off_t at) override;
    int sync(int file) override;
    int sync_directory(int directory) override;
    int truncate(int file, off_t size) override;
    int make_directories(const char* path) override;
    int rename(const char* from, const char* to) override;
    int open(const char* path, int flags) override;
    int status(int file, struct stat& into) override;
    ssize_t read(int file, std::span<char> into, off_t at) override;
    int list(const char* path, std::vector<std::string>& names) override;

    /// By the name of the call, all of them.
    std::map<std::string_view, std::uint64_t> failures() const;

private:
    enum call : std::uint8_t { opening, reading, looking, listing, writing, syncing, cutting, making, renaming, calls };
    static constexpr std::array<std::string_view, calls> names{"open",      "pread",     "fstat", "readdir", "pwrite",
                                                               "fdatasync", "ftruncate", "mkdir", "rename"};
    template <class Result>
    Result counted(call which, Result result) noexcept;

    disk& to_;
    std::array<std::atomic<std::uint64_t>, calls> failures_{};
};

/// True for an errno that says what a name is, and not that the disk has failed.
bool is_answer(int error) noexcept;

/// True for one that no waiting cures: the settings or the rights of this user are at fault, or a disk is full, and
/// somebody has to change that. Everything else is a disk that may work again in a moment.
bool is_to_be_changed(int error) noexcept;

/// What is done when the disk fails.
class patience {
public:
    virtual ~patience() = default;
    /// A call has failed this many times. Pauses before the next; false: there is none.
    virtual bool waits(std::string_view file, std::string_view call, int error, unsigned times) = 0;
    /// It no longer fails.
    virtual void is_over() = 0;
};

/// Waits on the thread that calls, twice as long each time, where that may help and as long as nothing is cancelled.
class brief_patience final : public patience {
public:
    explicit brief_patience(std::function<bool()> cancelled = nullptr) : cancelled_(std::move(cancelled)) {}
    bool waits(std::string_view file, std::string_view call, int error, unsigned times) override;
    void is_over() override {}

private:
    const std::function<bool()> cancelled_;
};

/// A disk that is read again where that fails, since an error of reading is no damage: at most `most_tries` times. For
/// the reading calls of one thread; what it is given must outlive it.
class patient_disk final : public disk {
public:
    static constexpr unsigned most_tries = 5;

    patient_disk(disk& to, patience& with) noexcept : to_(to), patience_(with) {}

    int open(const char* path, int flags) override;
    int status(int file, struct stat& into) override;
    ssize_t read(int file, std::span<char> into, off_t at) override;
    int list(const char* path, std::vector<std::string>& names) override;

private:
    template <class Call>
    auto persistently(std::string_view file, std::string_view name, Call call);

    disk& to_;
    patience& patience_;
    std::map<int, std::string> opened_;  ///< the file of each descriptor, for the log
};

}  // namespace tracker
