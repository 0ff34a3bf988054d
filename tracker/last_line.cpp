#include "tracker/last_line.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <string_view>
#include <system_error>

namespace tracker {
namespace {

[[noreturn]] void fail(int error, const char* what) { throw std::system_error(error, std::generic_category(), what); }

/// Bytes of the file from `at`, as many as fit into `into`.
std::string_view read_at(int file, disk& files, std::span<char> into, off_t at) {
    const auto got = files.read(file, into, at);
    if (got != static_cast<ssize_t>(into.size())) fail(got < 0 ? errno : EIO, "pread");
    return {into.data(), into.size()};
}

/// Of the text that ends here: a quote inside a string has a backslash before it, so `"}` without one ends an object.
bool ends_with_an_object(std::string_view text) {
    if (!text.ends_with("\"}")) return false;
    text.remove_suffix(2);
    const auto other = text.find_last_not_of('\\');
    return (text.size() - (other == text.npos ? 0 : other + 1)) % 2 == 0;
}

/// Without what follows the last byte that is stored: that is zeros, which nobody has to read, however many they are.
off_t without_hole_at_end(int file, off_t size) {
    off_t first = 0;
    while (first < size) {  // below it something is stored, from `size` on nothing is
        const auto middle = first + (size - first) / 2;
        if (::lseek(file, middle, SEEK_DATA) >= 0)
            first = middle + 1;
        else if (errno == ENXIO)
            size = middle;
        else
            return size;  // this file system does not say
    }
    return size;
}

/// Where the last whole line ends, its line end not counted when that is all that is missing.
off_t end_of_whole_lines(int file, disk& files, off_t size) {
    std::array<char, 64 * 1024> block;
    off_t candidate = -1;  // the end of a line that is whole as far as it has been read
    for (auto rest = without_hole_at_end(file, size); rest > 0;) {
        const auto want = std::min<off_t>(rest, block.size());
        const auto text = read_at(file, files, std::span(block).first(static_cast<std::size_t>(want)), rest - want);
        if (rest == size && ends_with_an_object(text)) candidate = size;
        rest -= want;
        for (auto at = text.find_last_of(std::string_view("\n\0", 2)); at != text.npos;
             at = at == 0 ? text.npos : text.find_last_of(std::string_view("\n\0", 2), at - 1)) {
            if (text[at] == '\n' && candidate >= 0) return candidate;
            candidate = text[at] == '\n' ? rest + static_cast<off_t>(at) + 1 : -1;
        }
    }
    return std::max<off_t>(candidate, 0);
}

}  // namespace

bool cut_back(int file, off_t size, disk& on) {
    if (on.truncate(file, size) != 0) return false;
    return on.sync(file) == 0 || errno == EINVAL || errno == ENOTSUP;  // there are file systems without fdatasync(2)
}

last_line mend_last_line(int file, disk& on) {
    struct stat status = {};
    if (on.status(file, status) != 0) fail(errno, "fstat");
    if (!S_ISREG(status.st_mode) || status.st_size == 0) return {.size = status.st_size};
    const auto whole = end_of_whole_lines(file, on, status.st_size);
    if (whole != status.st_size) {
        if (!cut_back(file, whole, on)) fail(errno, "ftruncate");
        return {.size = whole, .cut = status.st_size - whole};
    }
    std::array<char, 1> last{};
    return {.size = whole, .lacks_end = read_at(file, on, last, whole - 1) != "\n"};
}

}  // namespace tracker
