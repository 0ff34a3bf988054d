// Arbitrary settings: as a file, a variable or a flag, by the first byte. Whatever they say, every complaint is one
// line that a log can carry, and what is accepted is written as a file that says the same.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "configs/load.hpp"
#include "configs/values.hpp"

namespace {

/// A file in memory, by a name that open(2) takes.
class memory_file {
public:
    explicit memory_file(std::string_view text) : descriptor_(::memfd_create("settings", MFD_CLOEXEC)) {
        if (::write(descriptor_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) std::abort();
    }
    ~memory_file() { ::close(descriptor_); }
    memory_file(const memory_file&) = delete;
    memory_file& operator=(const memory_file&) = delete;
    std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

private:
    int descriptor_;
};

configs::loaded load_file(std::string_view text) {
    const memory_file file(text);
    configs::command line;
    line.file = file.path();
    return configs::load(line, {});
}

void require(bool condition, const std::string& what) {
    if (condition) return;
    std::fprintf(stderr, "%s\n", what.c_str());
    std::abort();
}

configs::loaded load_any(std::uint8_t where, const std::string& text) {
    if (where % 3 == 0) return load_file(text);
    const auto& table = configs::settings();
    const auto& row = table[where / 3 % table.size()];
    const auto until_nul = text.substr(0, text.find('\0'));  // neither environment nor arguments can carry more
    if (where % 3 == 1) return configs::load({}, {{row.variable(), until_nul}});
    return configs::load(configs::read_command_line({row.flag() + "=" + until_nul}), {});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto loaded = load_any(data[0], std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
    for (const auto& fault : loaded.faults) require(configs::is_text(fault), "a fault of more than text: " + fault);
    for (const auto& warning : loaded.warnings) require(configs::is_text(warning), "a warning: " + warning);
    if (!loaded.faults.empty()) return 0;
    const auto written = configs::to_toml(loaded);
    const auto again = load_file(written);
    require(again.faults.empty(), again.faults.empty() ? "" : again.faults.front() + "\n" + written);
    for (const auto& change : configs::changes(loaded.values, again.values))  // a secret is written as it is shown
        require(change.before == change.after, "it says something else:\n" + written);
    return 0;
}
