#include "server/symbols.hpp"

#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

namespace server {
namespace {

/// The object that contains an address.
struct object {
    std::size_t address;
    std::size_t base = 0;
    std::string_view path = {};
    bool is_program = false;
    int seen = 0;
};

int find_object(dl_phdr_info* info, std::size_t, void* to) {
    auto& wanted = *static_cast<object*>(to);
    const bool first = wanted.seen++ == 0;  // dl_iterate_phdr(3): the first is the program
    for (const auto& segment : std::span(info->dlpi_phdr, info->dlpi_phnum)) {
        const auto begin = info->dlpi_addr + segment.p_vaddr;
        if (segment.p_type != PT_LOAD || wanted.address < begin || wanted.address - begin >= segment.p_memsz) continue;
        wanted.base = info->dlpi_addr;
        wanted.path = first ? program_invocation_short_name : info->dlpi_name;
        wanted.is_program = first;
        return 1;
    }
    return 0;
}

std::string demangled(std::string_view name) {
    int status = 0;
    const std::string mangled(name);
    const std::unique_ptr<char, void (*)(void*)> plain(abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status),
                                                       std::free);
    return status == 0 ? plain.get() : mangled;
}

}  // namespace

symbols::symbols() {
    const int descriptor = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (descriptor >= 0 && ::fstat(descriptor, &status) == 0) {
        size_ = static_cast<std::size_t>(status.st_size);
        void* const mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (mapped != MAP_FAILED) file_ = static_cast<const char*>(mapped);
    }
    if (descriptor >= 0) ::close(descriptor);
}

symbols::~symbols() {
    if (file_ != nullptr) ::munmap(const_cast<char*>(file_), size_);
}

/// The name of the function that covers an offset from where the program was loaded; empty when there is none.
std::string_view symbols::function_at(std::size_t offset) const {
    if (file_ == nullptr) return {};
    const auto& header = *reinterpret_cast<const ElfW(Ehdr)*>(file_);  // the kernel has run it: it is well formed
    const std::span sections(reinterpret_cast<const ElfW(Shdr)*>(file_ + header.e_shoff), header.e_shnum);
    for (const auto& table : sections) {
        if (table.sh_type != SHT_SYMTAB) continue;
        const char* const names = file_ + sections[table.sh_link].sh_offset;
        const auto count = table.sh_size / sizeof(ElfW(Sym));
        for (const auto& symbol : std::span(reinterpret_cast<const ElfW(Sym)*>(file_ + table.sh_offset), count)) {
            const bool function = ELF64_ST_TYPE(symbol.st_info) == STT_FUNC;
            if (function && offset >= symbol.st_value && offset - symbol.st_value < symbol.st_size)
                return names + symbol.st_name;
        }
    }
    return {};
}

std::string symbols::function(const void* address) const {
    object in{reinterpret_cast<std::size_t>(address)};
    if (::dl_iterate_phdr(find_object, &in) == 0 || !in.is_program) return {};
    const auto name = function_at(in.address - in.base);
    return name.empty() ? std::string() : demangled(name);
}

std::string symbols::name(const void* address) const {
    object in{reinterpret_cast<std::size_t>(address)};
    if (::dl_iterate_phdr(find_object, &in) == 0) return fmt::format("{}", address);
    const auto offset = in.address - in.base;
    const auto place = fmt::format("{}+{:#x}", in.path.substr(in.path.rfind('/') + 1), offset);
    const auto function = this->function(address);
    return function.empty() ? place : fmt::format("{} ({})", function, place);
}

}  // namespace server
