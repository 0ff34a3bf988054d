#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace server::pprof {

/// A profile in the format that `go tool pprof` reads (github.com/google/pprof, proto/profile.proto), not compressed,
/// which it takes as well. Only the encoder: it knows nothing of this process. A value, with its owner's thread.
class profile {
public:
    /// A number as it is known: 0 is none.
    using id = std::uint64_t;
    /// What is counted and in what: {"cpu", "nanoseconds"}.
    struct kind {
        std::string_view type, unit;
    };
    using label = std::pair<std::string_view, std::string_view>;

    /// A part of an object file that is mapped as code.
    struct mapping {
        std::uint64_t begin, end;  ///< addresses in memory
        std::uint64_t offset;      ///< of `begin` in the file
        std::string file, build_id;
        bool named;  ///< locations in it have functions; pprof looks for a symbol table itself where they have not
    };

    /// `period` of `what` lie between two samples.
    profile(std::initializer_list<kind> values, kind what, std::int64_t period);

    id add(const mapping& mapping);
    /// A place in the code; `function` may be empty, `line` is of `file`. The same function is stored once.
    id location(id mapping, std::uint64_t address, std::string_view function, std::string_view file = {},
                std::uint64_t line = 0);
    /// `stack`: locations, the innermost first; `values`: one for each kind.
    void sample(std::span<const id> stack, std::initializer_list<std::int64_t> values, std::span<const label> labels);
    /// Shown by `go tool pprof -comments`.
    void comment(std::string_view text);
    /// The kind of value that a reader shows when it is not told another; else the last one.
    void show_first(std::string_view type);
    void lasted(std::chrono::nanoseconds duration);

    /// The bytes. The time of the profile is now less what it has lasted.
    std::string encode() const;

private:
    std::uint64_t text(std::string_view of);
    std::string value_type(kind kind);

    std::string fields_;  ///< encoded so far: the order of fields is free
    std::map<std::string, std::uint64_t, std::less<>> texts_;
    std::vector<std::string_view> text_order_;
    std::map<std::pair<std::uint64_t, std::uint64_t>, id> functions_;  ///< by name and file
    id mappings_ = 0, locations_ = 0;
    std::chrono::nanoseconds duration_{0};
};

}  // namespace server::pprof
