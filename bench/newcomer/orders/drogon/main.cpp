// Orders in JSON over PostgreSQL with Drogon: the same as bench/newcomer/README.md asks of each.
#include <drogon/drogon.h>

#include <atomic>
#include <cstdlib>
#include <string>

using namespace drogon;
using orm::DrogonDbException;

namespace {

std::atomic<bool> ready{false}, stopping{false}, idle_since_look{false};
std::atomic<int> in_flight{0};
orm::DbClientPtr data;

struct begun {
    begun() { ++in_flight; }
    ~begun() { --in_flight; }
};

HttpResponsePtr answer(HttpStatusCode status, const Json::Value& body) {
    auto made = HttpResponse::newHttpJsonResponse(body);
    made->setStatusCode(status);
    return made;
}

HttpResponsePtr problem(HttpStatusCode status, const Json::Value& faults = Json::arrayValue) {
    Json::Value body;
    body["status"] = status;
    body["errors"] = faults;
    auto made = answer(status, body);
    made->setContentTypeString("application/problem+json");
    if (status == k503ServiceUnavailable) made->addHeader("Retry-After", "1");
    return made;
}

HttpResponsePtr unanswered(const DrogonDbException& error) {
    LOG_WARN << "no answer of the database: " << error.base().what();
    const bool late = dynamic_cast<const orm::TimeoutError*>(&error) != nullptr;
    return problem(late ? k504GatewayTimeout : k503ServiceUnavailable);
}

Json::Value faults_of(const Json::Value& order) {
    Json::Value all(Json::arrayValue);
    const auto check = [&](bool fits, const char* pointer, const char* detail) {
        if (fits) return;
        Json::Value fault;
        fault["pointer"] = pointer;
        fault["detail"] = detail;
        all.append(fault);
    };
    const auto &item = order["item"], &quantity = order["quantity"], &note = order["note"];
    const auto bytes = item.isString() ? item.asString().size() : 0;
    check(1 <= bytes && bytes <= 80, "/item", "1 to 80 bytes");
    check(quantity.isInt() && 1 <= quantity.asInt() && quantity.asInt() <= 100, "/quantity",
          "a whole number from 1 to 100");
    check(note.isString() || note.isNull(), "/note", "a text");
    return all;
}

Task<HttpResponsePtr> put_order(HttpRequestPtr request, int id) {
    const begun counted;
    const auto order = request->getJsonObject();
    if (!order || !order->isObject()) co_return problem(k400BadRequest);
    if (const auto faults = faults_of(*order); !faults.empty()) co_return problem(k422UnprocessableEntity, faults);
    std::optional<std::string> note;
    if ((*order)["note"].isString()) note = (*order)["note"].asString();
    try {
        auto storing = data->execSqlCoro("INSERT INTO orders VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", id,
                                         (*order)["item"].asString(), (*order)["quantity"].asInt(), note);
        const auto done = co_await storing;
        co_return done.affectedRows() == 0 ? problem(k409Conflict) : answer(k201Created, *order);
    } catch (const DrogonDbException& error) {
        co_return unanswered(error);
    }
}

Task<HttpResponsePtr> get_order(HttpRequestPtr, int id) {
    const begun counted;
    try {
        auto looking = data->execSqlCoro("SELECT item, quantity, note FROM orders WHERE id = $1", id);
        const auto found = co_await looking;
        if (found.empty()) co_return problem(k404NotFound);
        const auto row = found[0];
        Json::Value order;
        order["item"] = row["item"].as<std::string>();
        order["quantity"] = row["quantity"].as<int>();
        order["note"] = row["note"].isNull() ? Json::Value() : row["note"].as<std::string>();
        co_return answer(k200OK, order);
    } catch (const DrogonDbException& error) {
        co_return unanswered(error);
    }
}

/// Ready with the first answer of the database.
Task<> reach_database() {
    while (!ready) {
        try {
            auto asking = data->execSqlCoro("SELECT 1");
            co_await asking;
            ready = true;
        } catch (const DrogonDbException&) {}
        if (!ready) co_await sleepCoro(app().getLoop(), 0.1);
    }
}

/// quit() closes every connection at once, so what has begun is waited for first; what comes meanwhile is refused.
void drain() {
    stopping = true;
    app().getLoop()->runEvery(0.05, [] {
        if (idle_since_look.exchange(in_flight == 0) && in_flight == 0) app().quit();  // the last answer has had a turn
    });
    app().getLoop()->runAfter(25, [] { std::_Exit(3); });
}

std::string setting(const char* name, const char* fallback) {
    const char* const value = std::getenv(name);
    return value != nullptr ? value : fallback;
}

}  // namespace

int main() {
    data = orm::DbClient::newPgClient(setting("ORDERS_DATABASE", "host=localhost dbname=orders"), 4);
    data->setTimeout(30);
    const auto probe = [](const std::atomic<bool>* up) {
        return [up](const HttpRequestPtr&, std::function<void(const HttpResponsePtr&)>&& say) {
            say(up != nullptr && (!*up || stopping) ? problem(k503ServiceUnavailable)
                                                    : HttpResponse::newHttpResponse());
        };
    };
    app()
        .registerHandlerViaRegex("/orders/([0-9]+)", &put_order, {Put})
        .registerHandlerViaRegex("/orders/([0-9]+)", &get_order, {Get})
        .registerHandler("/livez", probe(nullptr), {Get})
        .registerHandler("/readyz", probe(&ready), {Get})
        .registerSyncAdvice([](const HttpRequestPtr& request) -> HttpResponsePtr {
            if (!stopping || request->path() == "/livez") return nullptr;
            auto refused = problem(k503ServiceUnavailable);
            refused->setCloseConnection(true);
            return refused;
        })
        .registerBeginningAdvice([] { async_run(reach_database); })
        .setTermSignalHandler(drain)
        .addListener(setting("ORDERS_ADDRESS", "0.0.0.0"),
                     static_cast<uint16_t>(std::stoi(setting("ORDERS_PORT", "8080"))))
        .setThreadNum(0)
        .run();
}
