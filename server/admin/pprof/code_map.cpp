#include "server/admin/pprof/code_map.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <link.h>
#include <sys/auxv.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <span>

namespace server::pprof {
namespace {

std::uint64_t number(const void* address) { return reinterpret_cast<std::uintptr_t>(address); }

/// The build-id of an object in memory, in hexadecimal; empty when it has none. elf(5), "Notes".
std::string build_id(const dl_phdr_info& object) {
    const auto padded = [](std::size_t size) { return (size + 3) / 4 * 4; };
    for (const auto& segment : std::span(object.dlpi_phdr, object.dlpi_phnum)) {
        if (segment.p_type != PT_NOTE) continue;
        const auto* at = reinterpret_cast<const char*>(object.dlpi_addr + segment.p_vaddr);
        const auto* const end = at + segment.p_memsz;
        while (at + sizeof(ElfW(Nhdr)) <= end) {
            ElfW(Nhdr) note;
            std::memcpy(&note, at, sizeof note);
            const auto* const bytes = at + sizeof note + padded(note.n_namesz);
            if (note.n_type == NT_GNU_BUILD_ID && bytes + note.n_descsz <= end) {
                std::string id;
                for (const auto byte : std::span(bytes, note.n_descsz))
                    id += fmt::format("{:02x}", static_cast<unsigned char>(byte));
                return id;
            }
            at = bytes + padded(note.n_descsz);
        }
    }
    return {};
}

}  // namespace

code_map::code_map() {
    const auto take = [](dl_phdr_info* info, std::size_t, void* to) {
        auto& objects = *static_cast<std::vector<object>*>(to);
        const bool is_program = objects.empty();  // dl_iterate_phdr(3): the first is the program
        std::error_code error;
        const std::string path =
            is_program ? std::filesystem::read_symlink("/proc/self/exe", error).string() : info->dlpi_name;
        for (const auto& segment : std::span(info->dlpi_phdr, info->dlpi_phnum)) {
            if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
            const auto begin = info->dlpi_addr + segment.p_vaddr;
            objects.push_back(
                {{begin, begin + segment.p_memsz, segment.p_offset, path, build_id(*info), false}, is_program});
        }
        return 0;
    };
    ::dl_iterate_phdr(take, &objects_);
    has_names_ = !symbols_.function(reinterpret_cast<const void*>(&number)).empty();  // not stripped
    for (auto& object : objects_) object.where.named = object.is_program && has_names_;
    const auto vdso = ::getauxval(AT_SYSINFO_EHDR);  // vdso(7): not among the objects of a static program
    if (vdso != 0 && object_at(vdso) == nullptr)
        objects_.push_back({{vdso, vdso + 2 * 4096, 0, "[vdso]", {}, false}, false});
}

void code_map::describe(profile& into) {
    for (auto& object : objects_) object.id = into.add(object.where);
}

const code_map::object* code_map::object_at(std::uint64_t address) const {
    const auto at = std::ranges::find_if(
        objects_, [&](const object& object) { return address >= object.where.begin && address < object.where.end; });
    return at == objects_.end() ? nullptr : &*at;
}

profile::id code_map::location(profile& into, const void* address, bool is_return) {
    const auto at = number(address) - (is_return ? 1 : 0);
    auto& id = known_[at];
    if (id != 0) return id;
    const auto* const in = object_at(at);
    // What has a file is left to pprof when we have no name for it: one that we make up would keep it from looking.
    const bool left_to_pprof = in != nullptr && !in->is_program && in->where.file.starts_with('/');
    const auto named =
        left_to_pprof || (in != nullptr && in->is_program && !has_names_) ? std::string() : name(address, is_return);
    id = into.location(in == nullptr ? 0 : in->id, at, named);
    return id;
}

std::string code_map::name(const void* address, bool is_return) const {
    const auto at = number(address) - (is_return ? 1 : 0);
    const auto* const in = object_at(at);
    if (in == nullptr) return fmt::format("{:#x}", at);
    auto function = in->is_program ? symbols_.function(reinterpret_cast<const void*>(at)) : std::string();
    if (!function.empty()) return function;
    const auto file = in->where.file.substr(in->where.file.rfind('/') + 1);
    return file == "[vdso]" ? file : fmt::format("{}+{:#x}", file, at - in->where.begin + in->where.offset);
}

}  // namespace server::pprof
