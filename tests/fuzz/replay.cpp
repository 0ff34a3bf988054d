// The main of a fuzz target where there is no libFuzzer: runs it on the empty input and on every file of
// the folders and files that are named. A fault ends the process.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void replay(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int count, char** arguments) {
    std::size_t inputs = 1;
    LLVMFuzzerTestOneInput(nullptr, 0);
    for (const std::filesystem::path path : std::span(arguments, static_cast<std::size_t>(count)).subspan(1)) {
        if (std::filesystem::is_regular_file(path)) {
            replay(path);
            ++inputs;
        }
        if (!std::filesystem::is_directory(path)) continue;
        for (const auto& entry : std::filesystem::directory_iterator(path)) {
            replay(entry.path());
            ++inputs;
        }
    }
    std::printf("%zu inputs\n", inputs);
}
