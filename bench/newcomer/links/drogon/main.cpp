// Short links in SQLite with Drogon: the same as bench/newcomer/README.md asks of each.
#include <drogon/drogon.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <string>

using namespace drogon;
using orm::DrogonDbException;

namespace {

std::atomic<bool> stopping{false}, idle_since_look{false};
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

bool is_web_address(const Json::Value& url) {
    if (!url.isString()) return false;
    const auto text = url.asString();
    return (text.starts_with("http://") || text.starts_with("https://")) && text.size() <= 2000 &&
           std::ranges::all_of(text, [](char each) { return '!' <= each && each <= '~'; });
}

/// What `said` makes of the row; 404 without one.
Task<HttpResponsePtr> asked(const char* sql, std::string value, std::function<HttpResponsePtr(const orm::Row&)> said) {
    try {
        auto asking = data->execSqlCoro(sql, value);
        const auto found = co_await asking;
        co_return found.empty() ? problem(k404NotFound) : said(found[0]);
    } catch (const DrogonDbException& error) {
        LOG_WARN << "no answer of the database: " << error.base().what();
        const bool late = dynamic_cast<const orm::TimeoutError*>(&error) != nullptr;
        co_return problem(late ? k504GatewayTimeout : k503ServiceUnavailable);
    }
}

Json::Value link_of(const orm::Row& row) {
    Json::Value link;
    link["url"] = row["url"].as<std::string>();
    link["code"] = row["code"].as<std::string>();
    link["visits"] = row["visits"].as<int>();
    return link;
}

Task<HttpResponsePtr> make(HttpRequestPtr request) {
    const begun counted;
    const auto body = request->getJsonObject();
    if (!body || !body->isObject()) co_return problem(k400BadRequest);
    if (!is_web_address((*body)["url"])) {
        Json::Value faults;
        faults[0]["pointer"] = "/url";
        faults[0]["detail"] = "http:// or https://, at most 2000 characters of a URL";
        co_return problem(k422UnprocessableEntity, faults);
    }
    const auto* const sql =
        "INSERT INTO links (code, url) VALUES (lower(hex(randomblob(5))), ?) RETURNING url, code, visits";
    auto making = asked(sql, (*body)["url"].asString(), [](const orm::Row& row) {
        auto made = answer(k201Created, link_of(row));
        made->addHeader("Location", "/" + row["code"].as<std::string>());
        return made;
    });
    co_return co_await making;
}

Task<HttpResponsePtr> look(HttpRequestPtr, std::string code) {
    const begun counted;
    auto making = asked("SELECT url, code, visits FROM links WHERE code = ?", code,
                        [](const orm::Row& row) { return answer(k200OK, link_of(row)); });
    co_return co_await making;
}

Task<HttpResponsePtr> follow(HttpRequestPtr, std::string code) {
    const begun counted;
    const auto* const sql = "UPDATE links SET visits = visits + 1 WHERE code = ? RETURNING url";
    auto making = asked(sql, code, [](const orm::Row& row) {
        return HttpResponse::newRedirectionResponse(row["url"].as<std::string>());
    });
    co_return co_await making;
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
    data = orm::DbClient::newSqlite3Client("filename=" + setting("LINKS_FILE", "links.db"), 1);
    data->setTimeout(30);
    data->execSqlSync("PRAGMA journal_mode = WAL");
    data->execSqlSync(
        "CREATE TABLE IF NOT EXISTS links (code TEXT PRIMARY KEY, url TEXT NOT NULL, visits INTEGER NOT NULL DEFAULT "
        "0)");
    const auto well = [](const HttpRequestPtr&, std::function<void(const HttpResponsePtr&)>&& say) {
        say(HttpResponse::newHttpResponse());
    };
    app()
        .registerHandler("/links", &make, {Post})
        .registerHandler("/links/{code}", &look, {Get})
        .registerHandler("/livez", well, {Get})
        .registerHandler("/readyz", well, {Get})
        .registerHandler("/{code}", &follow, {Get})
        .registerSyncAdvice([](const HttpRequestPtr& request) -> HttpResponsePtr {
            if (!stopping || request->path() == "/livez") return nullptr;
            auto refused = problem(k503ServiceUnavailable);
            refused->setCloseConnection(true);
            return refused;
        })
        .setTermSignalHandler(drain)
        .addListener(setting("LINKS_ADDRESS", "0.0.0.0"),
                     static_cast<uint16_t>(std::stoi(setting("LINKS_PORT", "8080"))))
        .setThreadNum(0)
        .run();
}
