#include "server/http2/health.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "server/draining.hpp"
#include "server/http2/grpc.hpp"

namespace server::http2 {
namespace {

using lifecycle::clock;

constexpr std::string_view check_path = "/grpc.health.v1.Health/Check";
constexpr std::string_view watch_path = "/grpc.health.v1.Health/Watch";
constexpr std::string_view grpc_type = "application/grpc";
constexpr std::chrono::milliseconds look{50};  // whether a stop has been left again

/// enum ServingStatus of health.proto.
enum class serving : std::uint8_t { unknown, serving, not_serving, service_unknown };

struct health {
    const lifecycle::stop_channel& stop;
    std::vector<std::string> services;

    serving of(std::string_view name) const {
        if (!name.empty() && std::ranges::find(services, name) == services.end()) return serving::service_unknown;
        return stop.stopping() ? serving::not_serving : serving::serving;
    }
};

/// HealthCheckResponse: field 1, a varint.
std::string encoded(serving status) { return {'\x08', static_cast<char>(status)}; }

/// HealthCheckRequest: field 1, a string; others are skipped where they are of that kind too. None: it is malformed.
std::optional<std::string_view> service_of(std::string_view message) noexcept {
    std::string_view name;
    while (!message.empty()) {
        const auto tag = static_cast<unsigned char>(message.front());
        message.remove_prefix(1);
        std::size_t size = 0;
        unsigned shift = 0;
        for (bool more = true; more; shift += 7) {
            if (message.empty() || shift > 28) return std::nullopt;
            const auto byte = static_cast<unsigned char>(message.front());
            message.remove_prefix(1);
            size |= static_cast<std::size_t>(byte & 0x7f) << shift;
            more = (byte & 0x80) != 0;
        }
        if ((tag & 7) == 0) continue;  // a varint
        if ((tag & 7) != 2 || size > message.size()) return std::nullopt;
        if (tag == 0x0a) name = message.substr(0, size);
        message.remove_prefix(size);
    }
    return name;
}

response check(const health& whole, const request& asked) {
    if (auto refusal = grpc_refusal(asked)) return std::move(*refusal);
    const auto name = service_of(*grpc_message(asked));
    if (!name) return grpc_error(grpc_code::invalid_argument, "that is no HealthCheckRequest");
    const auto status = whole.of(*name);
    if (status == serving::service_unknown) return grpc_error(grpc_code::not_found, "unknown service");
    return grpc_answer(encoded(status));
}

/// What a Watch says next: each change, as long as its client listens.
struct watch {
    std::shared_ptr<const health> whole;
    lifecycle::context of, until_stop;
    std::string name;
    std::optional<serving> said;

    static lifecycle::awaitable<std::string> next(std::shared_ptr<watch> watch) {
        while (!watch->of.done()) {
            const auto status = watch->whole->of(watch->name);
            if (watch->said != status) {
                watch->said = status;
                co_return grpc_framed(encoded(status));
            }
            const bool told = watch->until_stop.done();
            const auto& by = told ? watch->of : watch->until_stop;
            auto waiting = lifecycle::sleep_until(by, clock::now() + (told ? look : std::chrono::hours(1)));
            co_await std::move(waiting);
        }
        co_return std::string();
    }
};

response watched(const std::shared_ptr<const health>& whole, const lifecycle::context& of, const request& asked) {
    if (auto refusal = grpc_refusal(asked)) return std::move(*refusal);
    const auto name = service_of(*grpc_message(asked));
    if (!name) return grpc_error(grpc_code::invalid_argument, "that is no HealthCheckRequest");
    const auto watcher = std::make_shared<watch>(
        watch{.whole = whole, .of = of, .until_stop = until_drain(of), .name = std::string(*name), .said = {}});
    response made(http::status::ok, {}, grpc_type);
    made.texts = [watcher] { return watch::next(watcher); };
    made.trail("grpc-status", "14").trail("grpc-message", "stopping");
    return made;
}

}  // namespace

router with_grpc_health(router routes, const lifecycle::stop_channel& stop, std::vector<std::string> services) {
    const auto whole = std::make_shared<const health>(health{.stop = stop, .services = std::move(services)});
    routes.add(
        http::verb::post, check_path,
        [whole](const lifecycle::context&, const request& asked) { return check(*whole, asked); }, true);
    routes.add(http::verb::post, watch_path,
               [whole](const lifecycle::context& of, const request& asked) { return watched(whole, of, asked); });
    return std::move(routes.at_stop(at_drain::notify));
}

bool is_watch(const route* to) noexcept {
    constexpr std::string_view method = "POST ";
    return to != nullptr && to->name.size() == method.size() + watch_path.size() && to->name.ends_with(watch_path);
}

void serve_without_end(exchange& exchange) {
    exchange.end_serving();
    exchange.scope.renew(clock::time_point::max());
    exchange.serving = std::make_unique<lifecycle::cancel_scope>(exchange.scope.get());
    exchange.given = exchange.scope.get().with(
        drain_notice{.until = exchange.serving->get(), .app_gives_up = &exchange.app_gives_up});
}

}  // namespace server::http2
