#include "server/client/aggregate.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <optional>

#include "lifecycle/group/group.hpp"
#include "server/client/http_client.hpp"

namespace server {
namespace {

namespace errc = boost::system::errc;
namespace json = boost::json;
using lifecycle::cause;
using lifecycle::clock;
using lifecycle::context;
using std::chrono::milliseconds;

constexpr std::size_t most_urls = 16;
constexpr std::size_t at_a_time = 4;

/// What one of them has come to.
struct piece {
    unsigned status = 0;
    std::string body;
    std::string error;  ///< empty: it has answered
    bool late = false;
    milliseconds took{0};
};

struct asked_url {
    std::string text;
    client_request request;
};

response refusal(http::status code, const std::string& why) { return response(code, why + '\n'); }

/// What is asked for, or why it is refused.
std::optional<response> read(const http_client& client, const request& request, std::vector<asked_url>& into) {
    const auto urls = request.query_values("url");
    if (urls.empty() || urls.size() > most_urls)
        return refusal(http::status::bad_request, "url: 1 to " + std::to_string(most_urls) + " of them");
    for (const auto& url : urls) {
        auto target = client.find(url);
        if (target) {
            into.push_back({url, {.to = std::move(*target), .trace = request.trace}});
        } else if (target.error() == errc::permission_denied) {
            return refusal(http::status::forbidden, "url: not in client.allow");
        } else {
            return refusal(http::status::bad_request, "url: http://host/path, without user information or fragment");
        }
    }
    return std::nullopt;
}

/// JSON is UTF-8 (RFC 8259, section 8.1). Boost.JSON asks for it when it reads, not when it writes.
bool is_utf8(const std::string& text) {
    boost::system::error_code error;
    json::parse(json::serialize(json::value(text)), error);
    return !error;
}

lifecycle::awaitable<piece> call(const http_client& client, context context, client_request request) {
    const auto began = clock::now();
    auto sending = client.send(context, std::move(request));
    auto answer = co_await std::move(sending);
    piece made;
    made.took = std::chrono::duration_cast<milliseconds>(clock::now() - began);
    if (!answer) {
        made.late = answer.error() == errc::timed_out;
        made.error = made.late ? "late" : answer.error().message();
    } else if (!is_utf8(answer->body)) {
        made.error = "the body is no UTF-8";
    } else {
        made.status = answer->status;
        made.body = std::move(answer->body);
    }
    co_return made;
}

/// Those that there was no time for have not begun.
std::vector<piece> pieces_of(std::vector<lifecycle::outcome<piece>>& outcomes) {
    std::vector<piece> all;
    for (auto& outcome : outcomes) {
        if (!outcome.value) outcome.value = piece{0, {}, "late", true, milliseconds(0)};
        all.push_back(std::move(*outcome.value));
    }
    return all;
}

response to_response(const std::vector<asked_url>& urls, std::vector<piece> pieces) {
    const auto failed = [](const piece& piece) { return !piece.error.empty(); };
    const auto late = [](const piece& piece) { return piece.late; };
    const auto code = !std::ranges::all_of(pieces, failed) ? http::status::ok
                      : std::ranges::all_of(pieces, late)  ? http::status::gateway_timeout
                                                           : http::status::bad_gateway;
    json::array results;
    for (std::size_t nth = 0; nth < pieces.size(); ++nth) {
        auto& piece = pieces[nth];
        json::object result{{"url", urls[nth].text}, {"ms", piece.took.count()}};
        if (failed(piece)) {
            result["error"] = piece.error;
        } else {
            result["status"] = piece.status;
            result["body"] = std::move(piece.body);
        }
        results.push_back(std::move(result));
    }
    const json::object all{{"complete", std::ranges::none_of(pieces, failed)}, {"results", std::move(results)}};
    return response(code, json::serialize(all) + '\n', "application/json");
}

/// Leaves a tenth of the time for the answer; the tick by which a server answers in our place is 50 ms.
context without_our_share(const context& context) {
    const auto deadline = context.deadline();
    if (deadline == clock::time_point::max()) return context;
    const auto left = std::max(deadline - clock::now(), clock::duration(0));
    return context.with_deadline(deadline - std::min<clock::duration>(left / 10, milliseconds(500)));
}

}  // namespace

lifecycle::awaitable<response> aggregate(const http_client& client, context context, const request& request) {
    std::vector<asked_url> urls;
    if (auto refused = read(client, request, urls)) co_return std::move(*refused);
    const auto begin = [&](lifecycle::group<piece>& calls) {
        for (auto& url : urls)
            calls.start(url.text, [&client, &url](lifecycle::context of_group) {
                return call(client, std::move(of_group), std::move(url.request));
            });
    };
    auto running = lifecycle::run_each<piece>(without_our_share(context), at_a_time, begin);
    auto outcomes = co_await std::move(running);
    const auto why = context.why();
    if (why != cause::none && why != cause::deadline) co_return problem(http::status::service_unavailable);
    co_return to_response(urls, pieces_of(outcomes));
}

}  // namespace server
