#include "tracker/dead_letters.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "tracker/last_line.hpp"

namespace tracker {
namespace {

[[noreturn]] void fail(const char* call) { throw std::system_error(errno, std::generic_category(), call); }

}  // namespace

dead_letters::dead_letters(const options& options, disk* other)
    : path_(std::filesystem::path(options.directory) / "dead-letter.jsonl"),
      durable_(options.durability == durability::disk),
      disk_(other != nullptr ? *other : real_) {}

dead_letters::outcome dead_letters::append(std::string_view lines) try {
    append_whole(lines);
    usable_ = true;
    return {.written = true};
} catch (const std::system_error& failure) {
    const bool may_work_again = !is_to_be_changed(failure.code().value());
    usable_ = !may_work_again;
    return {.may_work_again = may_work_again, .why = fmt::format("{}: {}", path_.string(), failure.what())};
}

void dead_letters::append_whole(std::string_view lines) {
    const descriptor file(disk_.open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_NOCTTY));
    if (!file) fail("open");
    if (::flock(file.get(), LOCK_EX) != 0) fail("flock");  // another process may do the same
    const auto last = mend_last_line(file.get(), disk_);
    const auto text = (last.lacks_end ? "\n" : "") + std::string(lines);
    try {
        const auto written = ::write(file.get(), text.data(), text.size());
        if (written >= 0 && written != static_cast<ssize_t>(text.size())) errno = ENOSPC;
        if (written != static_cast<ssize_t>(text.size())) fail("write");
        if (durable_) sync(file, last.size == 0);
    } catch (const std::system_error&) {
        [[maybe_unused]] const bool cut = cut_back(file.get(), last.size, disk_);
        throw;
    }
}

void dead_letters::sync(const descriptor& file, bool is_new) {
    if (disk_.sync(file.get()) != 0) fail("fdatasync");
    if (!is_new) return;
    const descriptor folder(disk_.open(path_.parent_path().c_str(), O_RDONLY | O_DIRECTORY));
    if (!folder) fail("open");
    if (disk_.sync_directory(folder.get()) != 0) fail("fsync");
}

}  // namespace tracker
