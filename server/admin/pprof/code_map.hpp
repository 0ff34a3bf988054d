#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "server/admin/pprof/profile.hpp"
#include "server/symbols.hpp"

namespace server::pprof {

/// Where the code of this process lies, in which files, and what its functions are called. Its own names come from the
/// program's symbol table; libraries, and a program without that table, are named by pprof, which finds the file by
/// its build-id. Made for one answer: an object that is loaded later is not known. Any thread.
class code_map {
public:
    code_map();

    /// Writes all mappings into a profile: to be called once, before `location`.
    void describe(profile& into);
    /// The location of a frame. Of all frames but the innermost the address is where the call returns to, which may
    /// be after the function: `is_return` looks one byte before it, as pprof expects it too.
    profile::id location(profile& into, const void* address, bool is_return);
    /// "server::loop::run()", "libc.so.6+0x12ab", "[vdso]" or the address.
    std::string name(const void* address, bool is_return) const;

private:
    struct object {
        profile::mapping where;
        bool is_program;
        profile::id id = 0;
    };

    const object* object_at(std::uint64_t address) const;

    symbols symbols_;
    bool has_names_ = false;
    std::vector<object> objects_;
    std::map<std::uint64_t, profile::id> known_;
};

}  // namespace server::pprof
