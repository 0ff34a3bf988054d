#include "configs/secret_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "configs/values.hpp"

namespace configs {
namespace {

class descriptor {
public:
    explicit descriptor(int number) noexcept : number_(number) {}
    ~descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    int get() const noexcept { return number_; }

private:
    int number_;
};

std::string words_of(int error) { return "cannot be read: " + std::generic_category().message(error); }

/// Empty for a regular file.
std::string kind_of(mode_t mode) {
    if (S_ISREG(mode)) return {};
    if (S_ISDIR(mode)) return "is a directory";
    if (S_ISFIFO(mode)) return "is a FIFO";
    if (S_ISSOCK(mode)) return "is a socket";
    return "is a device";
}

std::string too_large() { return fmt::format("has more than {}", format_size(largest_secret)); }

/// What is wrong with a text, if something is; nothing of it is said.
std::string fault_of_text(std::string_view text) {
    if (text.empty()) return "is empty";
    if (text.find('\0') != text.npos) return "holds a NUL";
    if (text.find('\n') != text.npos) return "holds more than one line";
    if (text.starts_with("\xEF\xBB\xBF")) return "begins with a byte order mark";
    return is_text(text) ? "" : "holds a control character, or what is not UTF-8";
}

/// Until its end; empty, or why that cannot be.
std::string read_whole(int file, std::string& text) {
    std::array<char, 4096> block;
    for (;;) {
        const auto got = ::read(file, block.data(), block.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return words_of(errno);
        if (got == 0) return {};
        text.append(block.data(), static_cast<std::size_t>(got));
        if (text.size() > largest_secret + 2) return too_large();  // the line break does not count
    }
}

}  // namespace

std::string file_key(std::string_view key) { return fmt::format("{}_file", key); }

setting row_of_file(const setting& of) {
    const auto set = [key = of.key](config& to, std::string_view path) {
        if (!is_text(path)) return false;
        if (path.empty())
            to.secret_files.erase(key);
        else
            to.secret_files[key] = path;
        return true;
    };
    const auto get = [key = of.key](const config& from) {
        const auto found = from.secret_files.find(key);
        return found == from.secret_files.end() ? std::string() : found->second;
    };
    return {.key = file_key(of.key),
            .help = fmt::format("file with the value of {}", of.key),
            .allowed = fmt::format("a path of a file with one line of at most {}, or empty for none",
                                   format_size(largest_secret)),
            .written = setting::form::text,
            .set = set,
            .get = get,
            .reloadable = of.reloadable};
}

secret_file read_secret_file(const std::string& path) {
    secret_file read;
    struct stat found {};
    // Looked at before it is opened: to open a FIFO or a device may do something.
    if (::stat(path.c_str(), &found) != 0) return {.text = {}, .fault = words_of(errno)};
    read.fault = kind_of(found.st_mode);
    if (!read.fault.empty()) return read;
    const descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (file.get() < 0 || ::fstat(file.get(), &found) != 0) return {.text = {}, .fault = words_of(errno)};
    read.fault = kind_of(found.st_mode);  // it may be another one by now
    if (read.fault.empty()) read.fault = read_whole(file.get(), read.text);
    if (!read.fault.empty()) return {.text = {}, .fault = read.fault};
    const auto whole = read.text.size();
    if (read.text.ends_with('\n')) read.text.pop_back();
    if (whole > read.text.size() && read.text.ends_with('\r')) read.text.pop_back();
    read.fault = read.text.size() > largest_secret ? too_large() : fault_of_text(read.text);
    read.is_open = (found.st_mode & S_IROTH) != 0;
    return read;
}

}  // namespace configs
