#include "tracker/dead_letters.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <string>
#include <system_error>

#include "tracker/last_line.hpp"

namespace tracker {

dead_letters::dead_letters(const options& options)
    : path_(std::filesystem::path(options.directory) / "dead-letter.jsonl"),
      durable_(options.durability == durability::disk) {}

bool dead_letters::append(std::string_view lines) const try {
    const descriptor file(::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640));
    if (!file || ::flock(file.get(), LOCK_EX) != 0) return false;  // another process may do the same
    disk own;
    const auto last = mend_last_line(file.get(), own);
    const auto text = (last.lacks_end ? "\n" : "") + std::string(lines);
    const bool written = ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (written && (!durable_ || sync(file, last.size == 0))) return true;
    [[maybe_unused]] const bool cut = cut_back(file.get(), last.size, own);
    return false;
} catch (const std::system_error&) {
    return false;
}

bool dead_letters::sync(const descriptor& file, bool is_new) const {
    if (::fdatasync(file.get()) != 0) return false;
    if (!is_new) return true;
    const descriptor folder(::open(path_.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return folder && ::fsync(folder.get()) == 0;
}

}  // namespace tracker
