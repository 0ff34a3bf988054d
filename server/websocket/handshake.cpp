#include "server/websocket/handshake.hpp"

#include <algorithm>
#include <cctype>

#include "server/websocket/accept.hpp"
#include "server/websocket/deflate.hpp"
#include "server/websocket/route.hpp"

namespace server::websocket {
namespace {

/// Of a list, without blanks; takes it from the front.
std::string_view take_token(std::string_view& list) {
    const auto comma = list.find(',');
    auto element = list.substr(0, comma);
    list.remove_prefix(comma == list.npos ? list.size() : comma + 1);
    const auto first = element.find_first_not_of(" \t");
    if (first == element.npos) return {};
    return element.substr(first, element.find_last_not_of(" \t") + 1 - first);
}

bool has_token(const request& asked, std::string_view name, std::string_view wanted) {
    const auto list = joined(asked, name);
    for (std::string_view left = list; !left.empty();)
        if (same_name(take_token(left), wanted)) return true;
    return false;
}

/// Sixteen bytes in base64 (section 4.1).
bool is_key(std::string_view key) {
    const auto is_digit = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '+' || c == '/';
    };
    return key.size() == 24 && key.ends_with("==") && std::all_of(key.begin(), key.end() - 2, is_digit);
}

response refusal(http::status code, std::string text) { return response(code, std::move(text)); }

response upgrade_required(std::string text) {
    auto answer = refusal(http::status::upgrade_required, std::move(text));
    answer.set("Upgrade", "websocket").set("Connection", "Upgrade").set("Sec-WebSocket-Version", "13");
    return answer;
}

}  // namespace

std::string joined(const request& asked, std::string_view name) {
    std::string all;
    for (const auto& field : asked.fields) {
        if (!same_name(field.name, name)) continue;
        if (!all.empty()) all += ',';
        all += field.value;
    }
    return all;
}

std::string_view choose_protocol(const request& asked, const std::vector<std::string>& spoken) {
    const auto offered = joined(asked, "Sec-WebSocket-Protocol");
    for (std::string_view left = offered; !left.empty();) {
        const auto found = std::ranges::find(spoken, take_token(left));
        if (found != spoken.end()) return *found;
    }
    return {};
}

response shake_hands(const request& asked, const std::vector<std::string>& protocols, bool compresses) {
    const bool on_stream = asked.version == 20;  // RFC 8441 section 5: no Upgrade, and nothing to be proved
    const bool asks = on_stream ? asked.protocol == "websocket"
                                : asked.version >= 11 && has_token(asked, "Upgrade", "websocket") &&
                                      has_token(asked, "Connection", "upgrade");
    if (!asked.protocol.empty() && !asks)  // RFC 9220 section 3
        return refusal(http::status::not_implemented, "Of what CONNECT can ask for, this route speaks WebSocket.\n");
    if (asked.method == http::verb::head || !asks) return upgrade_required("This route speaks WebSocket.\n");
    if (joined(asked, "Sec-WebSocket-Version") != "13") return upgrade_required("WebSocket has version 13.\n");
    const auto key = joined(asked, "Sec-WebSocket-Key");
    if (!on_stream && !is_key(key))
        return refusal(http::status::bad_request, "Sec-WebSocket-Key: 16 bytes in base64\n");
    if (!asked.body.empty()) return refusal(http::status::bad_request, "a handshake has no body\n");
    response answer(http::status::switching_protocols);
    answer.content_type = {};
    if (!on_stream)
        answer.set("Upgrade", "websocket").set("Connection", "Upgrade").set("Sec-WebSocket-Accept", accept_for(key));
    if (const auto protocol = choose_protocol(asked, protocols); !protocol.empty())
        answer.set("Sec-WebSocket-Protocol", protocol);
    if (!compresses) return answer;
    if (const auto terms = choose(joined(asked, "Sec-WebSocket-Extensions")))
        answer.set("Sec-WebSocket-Extensions", terms->answer());
    return answer;
}

middleware require_origin(std::vector<std::string> allowed) {
    return [allowed = std::move(allowed)](handler next) -> handler {
        const auto may = [allowed](const request& asked) {
            const auto origin = asked.header(http::field::origin);
            if (origin.data() == nullptr || std::ranges::find(allowed, origin) != allowed.end()) return true;
            const auto scheme_end = origin.find("://");
            return scheme_end != origin.npos && same_name(origin.substr(scheme_end + 3), asked.host);
        };
        const auto forbidden = [] { return response(http::status::forbidden, "another origin\n"); };
        if (next.as_plain() != nullptr)
            return [may, forbidden, next](const lifecycle::context& context, const request& asked) -> response {
                return may(asked) ? (*next.as_plain())(context, asked) : forbidden();
            };
        return
            [may, forbidden, next](lifecycle::context context, const request& asked) -> lifecycle::awaitable<response> {
                if (!may(asked)) co_return forbidden();
                auto asking = next(std::move(context), asked);
                co_return co_await std::move(asking);
            };
    };
}

}  // namespace server::websocket
