#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace server {

/// The names of this program's functions, read from the symbol table of its own file (elf(5)): dladdr(3) knows
/// exported functions only, and none at all in a static program. Maps the file while it lives; a lookup walks the table
/// (some 10,000 entries) and keeps nothing. Throws nothing: without a table every name is an address. Any thread.
class symbols {
public:
    symbols();
    ~symbols();
    symbols(const symbols&) = delete;
    symbols& operator=(const symbols&) = delete;

    /// "server::loop::run() (service+0x12ab)"; of another object, or unknown: "libc.so.6+0x12ab".
    std::string name(const void* address) const;
    /// The function alone; empty when it is not the program's, or unknown.
    std::string function(const void* address) const;

private:
    std::string_view function_at(std::size_t offset) const;

    const char* file_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace server
