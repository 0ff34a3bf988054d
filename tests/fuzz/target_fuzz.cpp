// Arbitrary targets: what is accepted is normal, and its query can be asked for. The first byte chooses
// the method's form, and how strict the server is.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "server/request.hpp"
#include "server/router.hpp"
#include "server/target.hpp"

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

bool has_dot_segment(std::string_view path) {
    while (!path.empty()) {
        path.remove_prefix(1);
        const auto segment = path.substr(0, path.find('/'));
        if (segment == "." || segment == "..") return true;
        path.remove_prefix(segment.size());
    }
    return false;
}

void check(const server::target_parts& parts, bool connect) {
    require(server::is_authority(parts.authority));
    if (connect) return;
    require(parts.path == "*" || parts.path.starts_with('/'));
    require(parts.path.find('\0') == std::string_view::npos);
    require(!has_dot_segment(parts.path));
    if (parts.query.starts_with("n=")) {  // the first key is found, whatever stands after it
        server::request request;
        request.query = parts.query;
        require(request.query_value("n").has_value());
    }
}

lifecycle::awaitable<server::response> nothing(lifecycle::context, const server::request&) {
    co_return server::response();
}

server::router some_routes() {
    server::router made;
    made.get("/a", nothing).get("/a/{b}", nothing).post("/{c}/d/{e}", nothing);
    return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const server::target_rules rules{
        .connect = data[0] % 4 == 1, .options = data[0] % 4 == 2, .strict = (data[0] & 4) != 0};
    // A copy of exactly that size: a byte read after its end is found.
    const std::string target(reinterpret_cast<const char*>(data) + 1, size - 1);
    std::string storage;
    server::target_parts parts;
    (void)server::is_authority(target);
    if (!server::split_target(target, rules, storage, parts)) return 0;
    check(parts, rules.connect);

    static const auto routes = some_routes();
    server::request request;
    request.method = server::http::verb::get;
    request.path = parts.path;
    request.query = parts.query;
    (void)routes.find(request);
    (void)routes.fallback(request);
    (void)request.query_value("a");
    (void)request.query_number<std::int64_t>("n", 1, 0, 100);
    return 0;
}
