#include "cmd/service/telemetry/receiver.hpp"

#include <fmt/format.h>

#include <exception>
#include <memory>
#include <utility>

#include "cmd/service/build_info.hpp"
#include "cmd/service/telemetry/names.hpp"
#include "cmd/service/telemetry/request_body.hpp"
#include "configs/program.hpp"
#include "tracker/http_connection/http_connection.hpp"

namespace telemetry {
namespace {

tracker::http_address address_of(const destination& to) {
    tracker::http_address made{.url = to.url,
                               .fields = to.headers,
                               .timeout = to.timeout,
                               .longest_rest = longest_rest,
                               .ca = to.ca,
                               .certificate = to.certificate,
                               .key = to.key,
                               .url_name = "telemetry",
                               .ca_name = "telemetry: certificate"};
    made.fields.emplace_back("Content-Type", "application/x-protobuf");
    if (to.gzip) made.fields.emplace_back("Content-Encoding", "gzip");
    made.fields.emplace_back(
        "User-Agent", fmt::format("OTel-OTLP-Exporter-{}/{}", configs::this_program().name, build_info::version()));
    return made;
}

}  // namespace

post_function receiver(const destination& to, tracker::deadline_function deadline) {
    auto names = [deadline](const std::string& host) { return look_up(host, deadline); };
    auto connection = std::make_shared<tracker::http_connection>(address_of(to), std::move(deadline), std::move(names));
    return [connection = std::move(connection), gzip = to.gzip](const body_pieces& body) {
        reply made;
        try {
            auto answer = gzip ? connection->exchange(gzipped(body)) : connection->exchange(body);
            made.status = answer.result_int();
            made.retry_after = tracker::retry_after(answer[boost::beast::http::field::retry_after]);
            made.body = std::move(answer.body());
        } catch (const std::exception& e) {
            made.error = e.what();
        }
        return made;
    };
}

}  // namespace telemetry
