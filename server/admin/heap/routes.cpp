#include "server/admin/heap/routes.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "server/admin/heap/sampler.hpp"
#include "server/admin/pprof/code_map.hpp"
#include "server/admin/pprof/profile.hpp"

namespace server::heap {

using lifecycle::context;

namespace {

constexpr std::uint64_t longest_interval = std::uint64_t{1} << 40;

/// The kinds that Go has, in its order. pprof shows the last one when it is not told another.
std::string as_proto(std::string_view shown_first) {
    pprof::profile made(
        {{"alloc_objects", "count"}, {"alloc_space", "bytes"}, {"inuse_objects", "count"}, {"inuse_space", "bytes"}},
        {"space", "bytes"}, static_cast<std::int64_t>(interval()));
    made.show_first(shown_first);
    pprof::code_map code;
    code.describe(made);
    const auto whole = [](std::uint64_t number) { return static_cast<std::int64_t>(number); };
    const auto objects = [&](std::uint64_t parts) {
        return whole((parts + weight::one_object / 2) / weight::one_object);
    };
    std::vector<pprof::profile::id> stack;
    samples().for_each([&](std::span<void* const> frames, weight allocated, weight freed) {
        stack.clear();
        for (auto* const frame : frames) stack.push_back(code.location(made, frame, true));
        made.sample(stack,
                    {objects(allocated.objects), whole(allocated.bytes), objects(allocated.objects - freed.objects),
                     whole(allocated.bytes - freed.bytes)},
                    {});
    });
    if (interval() == 0) made.comment("nothing is sampled now: POST /debug/pprof/heap?rate=BYTES");
    if (const auto lost = samples().lost(); lost > 0) made.comment(fmt::format("{} bytes found no room", lost));
    return made.encode();
}

handler profile_showing(std::string_view first) {
    return [first](const context&, const request&) {
        return response(http::status::ok, as_proto(first), "application/octet-stream");
    };
}

response set_rate(const context&, const request& request) {
    const auto bytes = request.query_number<std::uint64_t>("rate", std::nullopt, 0, longest_interval);
    if (!bytes) return response(http::status::bad_request, "rate: bytes between two samples, 0 for none\n");
    sample_every(*bytes);
    return response(http::status::ok, fmt::format("{{\"rate\":{}}}\n", *bytes), "application/json");
}

}  // namespace

void add_routes(router& routes) {
    routes.get("/debug/pprof/heap", profile_showing("inuse_space"));
    routes.get("/debug/pprof/allocs", profile_showing("alloc_space"));
    routes.post("/debug/pprof/heap", set_rate);
    sample_every(default_interval);
}

}  // namespace server::heap
