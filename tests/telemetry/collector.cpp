#include "tests/telemetry/collector.hpp"

#include <fmt/format.h>

#include <exception>

using support::scripted_upstream;

scripted_upstream::reply answer_of(unsigned status, const std::string& fields, const std::string& body) {
    return {.bytes = fmt::format("HTTP/1.1 {} x\r\n{}Content-Length: {}\r\n\r\n{}", status, fields, body.size(), body)};
}

collector::collector(refusal refuses)
    : refuses_(std::move(refuses)), server_([this](const auto& asked, std::size_t) { return answer(asked); }) {}

scripted_upstream::reply collector::answer(const scripted_upstream::request& asked) {
    const std::scoped_lock lock(mutex_);
    ++requests_;
    try {
        const auto path = asked.path();
        const auto expect = [&](bool holds, const std::string& what) {
            if (!holds) faults_.push_back(what + " in:\n" + asked.head);
        };
        expect(asked.head.starts_with("POST "), "no POST");
        expect(asked.field("Content-Type") == "application/x-protobuf", "the type");
        expect(asked.field("Content-Length") == std::to_string(asked.body.size()), "the length");
        expect(asked.field("User-Agent").starts_with("OTel-OTLP-Exporter-"), "the agent");
        const auto coding = asked.field("Content-Encoding");
        expect(coding.empty() || coding == "gzip", "the coding");
        const auto body = coding == "gzip" ? otlp::gunzipped(asked.body) : asked.body;
        auto read = path.ends_with("/v1/traces")    ? otlp::read_traces(body)
                    : path.ends_with("/v1/metrics") ? otlp::read_metrics(body)
                    : path.ends_with("/v1/logs")    ? otlp::read_logs(body)
                                                    : throw std::runtime_error("no such path: " + path);
        expect(!read.spans.empty() || !read.metrics.empty() || !read.logs.empty(), "nothing");
        if (refuses_)
            if (auto other = refuses_(path, read, requests_)) return *other;
        stored_.push_back(std::move(read));
        return answer_of(200, "Content-Type: application/x-protobuf\r\n");
    } catch (const std::exception& e) {
        faults_.emplace_back(e.what());
        return answer_of(400, {}, e.what());
    }
}

std::vector<otlp::span> collector::spans() const {
    const std::scoped_lock lock(mutex_);
    std::vector<otlp::span> all;
    for (const auto& each : stored_) all.insert(all.end(), each.spans.begin(), each.spans.end());
    return all;
}

std::vector<otlp::log_record> collector::logs() const {
    const std::scoped_lock lock(mutex_);
    std::vector<otlp::log_record> all;
    for (const auto& each : stored_) all.insert(all.end(), each.logs.begin(), each.logs.end());
    return all;
}

std::vector<otlp::metric> collector::metrics() const {
    const std::scoped_lock lock(mutex_);
    for (auto request = stored_.rbegin(); request != stored_.rend(); ++request)
        if (!request->metrics.empty()) return request->metrics;
    return {};
}

otlp::attributes collector::resource() const {
    const std::scoped_lock lock(mutex_);
    return stored_.empty() ? otlp::attributes{} : stored_.back().resource;
}

std::vector<std::string> collector::faults() const {
    const std::scoped_lock lock(mutex_);
    return faults_;
}

std::size_t collector::requests() const {
    const std::scoped_lock lock(mutex_);
    return requests_;
}
