#include "server/router.hpp"

#include <algorithm>
#include <bit>
#include <boost/algorithm/string/classification.hpp>
#include <boost/algorithm/string/split.hpp>
#include <cassert>
#include <stdexcept>

namespace server {
namespace {

bool is_parameter(std::string_view segment) noexcept {
    return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

/// They match the same: the same words, parameters in the same places.
bool alike(std::string_view left, std::string_view right) noexcept {
    return left == right || (is_parameter(left) && is_parameter(right));
}

/// Matches segment by segment, without a copy of the path.
bool matches(const std::vector<std::string>& segments, std::string_view path,
             std::vector<std::pair<std::string_view, std::string_view>>* parameters) {
    if (parameters != nullptr) parameters->clear();
    for (std::size_t nth = 0; nth < segments.size(); ++nth) {
        const auto slash = path.find('/');
        const bool last = nth + 1 == segments.size();
        if (last != (slash == path.npos)) return false;
        const auto part = path.substr(0, slash);
        const std::string_view segment = segments[nth];
        if (is_parameter(segment)) {
            if (part.empty()) return false;
            if (parameters != nullptr) parameters->emplace_back(segment.substr(1, segment.size() - 2), part);
        } else if (part != segment) {
            return false;
        }
        if (!last) path.remove_prefix(slash + 1);
    }
    return true;
}

/// CONNECT asks for a tunnel, which is not a resource that could be missing (RFC 9110 section 9.3.6).
response no_path(const request& asked) {
    return problem(asked.method == http::verb::connect ? http::status::not_implemented : http::status::not_found);
}

/// Of a path that has routes for these methods, and not for this one.
response of_path(const std::string& allow, const request& asked) {
    const bool options = asked.method == http::verb::options;
    auto answer = options ? response(http::status::no_content) : problem(http::status::method_not_allowed);
    answer.set("Allow", allow + ", OPTIONS");
    return answer;
}

/// What the server has answered, for the end of a chain of middleware.
struct own_answer {
    const response* made;
};

response given(const lifecycle::context& context, const request&) { return *context.find<own_answer>()->made; }

/// Without the outermost, where that has another answer.
handler adding_only(handler::plain_function outer, handler::plain_function inner) {
    return
        [outer = std::move(outer), inner = std::move(inner)](const lifecycle::context& context, const request& asked) {
            auto made = outer(context, asked);
            const auto& own = *context.find<own_answer>()->made;
            if (made.status != own.status || made.streamed() != own.streamed()) return inner(context, asked);
            made.close = made.close || own.close;
            return made;
        };
}

lifecycle::awaitable<response> answer_by(const handler::plain_function& plain, lifecycle::context context,
                                         const request& request) {
    co_return plain(context, request);
}

}  // namespace

lifecycle::awaitable<response> handler::operator()(lifecycle::context context, const request& request) const {
    if (const auto* const plain = as_plain()) return answer_by(*plain, std::move(context), request);
    return std::get<coroutine>(does_)(std::move(context), request);
}

void path_table::add(std::string_view path, std::size_t number) {
    // Built again for each route: that is only before the server starts, and a table that is at most a quarter full is
    // searched in a step or two ever after.
    std::vector<slot> all(std::bit_ceil(4 * ++used_));
    const auto put = [&all](slot slot) {
        auto nth = hash(slot.path) & (all.size() - 1);
        while (all[nth].number != none) nth = (nth + 1) & (all.size() - 1);
        all[nth] = std::move(slot);
    };
    for (auto& slot : slots_)
        if (slot.number != none) put(std::move(slot));
    put({.path = std::string(path), .number = number});
    slots_ = std::move(all);
}

router& router::use(middleware wrap) {
    wraps_.push_back(std::move(wrap));
    if (!grouped_) {
        not_found_ = wrapped_plain(plain(no_path));
        own_ = wrapped_own();
    }
    return *this;
}

router& router::group(std::string_view prefix, const std::function<void(router&)>& add) {
    if (!prefix.empty() && (prefix.front() != '/' || prefix.back() == '/'))
        throw std::invalid_argument("the prefix of a group begins with '/' and does not end with it");
    const auto outer_prefix = prefix_.size();
    const auto outer_wraps = static_cast<std::ptrdiff_t>(wraps_.size());
    // Groups nest: what an inner one adds goes again when it ends, and the outer one is as it was.
    const bool in_group = std::exchange(grouped_, true);
    prefix_ += prefix;
    add(*this);
    prefix_.resize(outer_prefix);
    wraps_.erase(wraps_.begin() + outer_wraps, wraps_.end());
    grouped_ = in_group;
    return *this;
}

handler router::wrapped_plain(handler handle) const {
    // The router's own answers are made without a coroutine: a middleware that can only be one does not see them.
    for (auto wrap = wraps_.rbegin(); wrap != wraps_.rend(); ++wrap)
        if (auto wrapped = (*wrap)(handle); wrapped.as_plain() != nullptr) handle = std::move(wrapped);
    return handle;
}

handler router::wrapped_own() const {
    handler handle = given;
    for (auto wrap = wraps_.rbegin(); wrap != wraps_.rend(); ++wrap) {
        const auto wrapped = (*wrap)(handle);
        if (const auto* const outer = wrapped.as_plain()) handle = adding_only(*outer, *handle.as_plain());
    }
    return handle;
}

router::resource& router::resource_for(std::string_view pattern) {
    for (auto& known : resources_)
        if (known.pattern == pattern) return known;
    if (pattern.empty() || pattern.front() != '/') throw std::invalid_argument("a route begins with '/'");
    resource made;
    made.pattern = pattern;
    made.allow = std::make_shared<std::string>();
    made.rest = wrapped_plain(plain([allow = made.allow](const request& asked) { return of_path(*allow, asked); }));
    boost::algorithm::split(made.segments, pattern, [](char c) { return c == '/'; });
    // Otherwise the order in which routes were added would decide which of the two answers.
    for (const auto& known : resources_)
        if (std::equal(known.segments.begin(), known.segments.end(), made.segments.begin(), made.segments.end(), alike))
            throw std::invalid_argument(made.pattern + " is " + known.pattern + " with other names");
    // Words before parameters, in whatever order they were added: a fixed path is found by a look into the table.
    if (std::any_of(made.segments.begin(), made.segments.end(), is_parameter))
        patterns_.push_back(resources_.size());
    else
        exact_.add(made.pattern, resources_.size());
    resources_.push_back(std::move(made));
    return resources_.back();
}

router& router::add(http::verb method, std::string_view pattern, handler handle, bool exempt) {
    // From the last to the first, so that the first one used is the outermost.
    for (auto wrap = wraps_.rbegin(); wrap != wraps_.rend(); ++wrap) handle = (*wrap)(std::move(handle));
    auto& to = resource_for(prefix_ + std::string(pattern));
    for (const auto& [known, route] : to.methods)
        if (known == method) throw std::invalid_argument("two handlers for " + route.name);
    const auto verb = std::string(http::to_string(method));
    to.methods.emplace_back(
        method,
        route{.name = verb + ' ' + to.pattern, .handle = std::move(handle), .exempt = exempt, .index = routes_++});
    // A number, not a pointer: the next route may move them.
    last_ = static_cast<std::size_t>(&to - resources_.data());
    auto& allow = *to.allow;
    if (!allow.empty()) allow += ", ";
    // HEAD is answered where GET is (RFC 9110 section 9.3.2).
    allow += method == http::verb::get ? "GET, HEAD" : verb;
    return *this;
}

route& router::last() {
    if (routes_ == 0) throw std::invalid_argument("no route has been added");
    return resources_[last_].methods.back().second;
}

router& router::decodes() {
    last().decodes = true;
    return *this;
}

router& router::becomes(std::function<std::unique_ptr<session>(wire)> make,
                        std::function<void(host&, boost::asio::io_context&)> joins) {
    last().becomes = std::move(make);
    has_sessions_ = true;
    last().joins = std::move(joins);
    return *this;
}

void router::joined(host& loop, boost::asio::io_context& its_context) const {
    for (const auto& resource : resources_)
        for (const auto& [method, to] : resource.methods)
            if (to.joins) to.joins(loop, its_context);
}

router& router::at_stop(at_drain manner) {
    last().at_stop = manner;
    return *this;
}

router& router::takes_body_in_pieces(router& last_of, std::uint64_t most) {
    last_of.last().streams_body = true;
    last_of.last().most_body = most;
    return last_of;
}

router& router::events(std::string_view pattern, handler handle) {
    get(pattern, std::move(handle)).at_stop(at_drain::notify);
    last().events = true;
    return *this;
}

const router::resource* router::find_resource(
    std::string_view path, std::vector<std::pair<std::string_view, std::string_view>>* parameters) const {
    if (const auto* const found = exact_.find(path)) return &resources_[*found];
    for (const auto index : patterns_)
        if (matches(resources_[index].segments, path, parameters)) return &resources_[index];
    return nullptr;
}

/// In line, with the search of the table.
[[gnu::flatten]] const route* router::find(request& request) const {
    const auto* const found = find_resource(request.path, &request.parameters);
    if (found == nullptr) return nullptr;
    const bool head = request.method == http::verb::head;
    // A HEAD of its own, if there is one, else that of GET.
    for (const auto wanted : {request.method, head ? http::verb::get : request.method})
        for (const auto& [method, route] : found->methods)
            if (method == wanted) return &route;
    return nullptr;
}

response router::fallback(const request& request) const {
    // It asks about the server as a whole (RFC 9110 section 9.3.7).
    if (request.method == http::verb::options && request.path == "*")
        return std::move(
            response(http::status::no_content).set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    const auto* const found = find_resource(request.path, nullptr);
    const auto& by = found != nullptr ? found->rest : not_found_;
    return by ? (*by.as_plain())(lifecycle::context(), request) : no_path(request);
}

response router::own(const request& asked, const response& answer) const {
    return (*own_.as_plain())(lifecycle::context().with(own_answer{&answer}), asked);
}

std::vector<std::string> router::names() const {
    std::vector<std::string> all(routes_);
    for (const auto& resource : resources_)
        for (const auto& [method, route] : resource.methods) {
            assert(all.at(route.index).empty() && "each route has a number of its own");
            all[route.index] = route.name;
        }
    return all;
}

}  // namespace server
