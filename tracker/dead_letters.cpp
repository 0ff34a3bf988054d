#include "tracker/dead_letters.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "tracker/descriptor.hpp"

namespace tracker {

dead_letters::dead_letters(const options& options)
    : path_(std::filesystem::path(options.directory) / "dead-letter.jsonl"),
      durable_(options.durability == durability::disk) {}

bool dead_letters::append(std::string_view lines) const {
    const descriptor file(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
    if (!file || ::flock(file.get(), LOCK_EX) != 0) return false;  // another process may do the same
    const auto before = ::lseek(file.get(), 0, SEEK_END);
    const bool written = ::write(file.get(), lines.data(), lines.size()) == static_cast<ssize_t>(lines.size());
    if (written && (!durable_ || ::fsync(file.get()) == 0)) return true;
    [[maybe_unused]] const int cut = ::ftruncate(file.get(), before);
    return false;
}

}  // namespace tracker
