#include "cmd/service/telemetry/other_spans.hpp"

#include <algorithm>
#include <charconv>
#include <exception>
#include <string>
#include <utility>

#include "cmd/service/telemetry/wire.hpp"

namespace telemetry {
namespace {

using lifecycle::clock;

constexpr unsigned kind_client = 3, kind_producer = 4;
constexpr std::uint32_t sampled_and_random = 0x103;  // and that the parent is not remote is known

std::uint64_t on_the_wall(clock::time_point when) noexcept {
    const auto wall = std::chrono::system_clock::now().time_since_epoch() - (clock::now() - when);
    return static_cast<std::uint64_t>(std::chrono::nanoseconds(wall).count());
}

std::uint64_t from_hex(std::string_view digits) noexcept {
    std::uint64_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    return value;
}

void put_hex(std::string& to, std::size_t at, std::uint64_t value) noexcept {
    for (std::size_t nth = 16; nth-- > 0; value >>= 4) to[at + nth] = "0123456789abcdef"[value & 15];
}

/// Up to the name.
void write_ids(wire_writer& to, const server::trace_context::numbers& ids) noexcept {
    to.id(1, ids.high, ids.low);
    to.id(2, ids.span);
    if (ids.caller != 0) to.id(4, ids.caller);
}

void write_times(wire_writer& to, clock::time_point began) noexcept {
    to.fixed64(7, on_the_wall(began));
    to.fixed64(8, on_the_wall(clock::now()));
}

void write_failure(wire_writer& to, std::string_view message) noexcept {
    const auto status = to.open(15);
    if (!message.empty()) to.bytes(2, message);
    to.number(3, 2);  // STATUS_CODE_ERROR
    to.close(status);
}

/// A sink whose deliveries are spans.
class observed_sink final : public tracker::sink {
public:
    observed_sink(std::unique_ptr<tracker::sink> inner, std::shared_ptr<other_spans> to)
        : inner_(std::move(inner)), to_(std::move(to)) {}

    void deliver(std::span<const tracker::event> batch) override {
        const auto began = clock::now();
        try {
            inner_->deliver(batch);
        } catch (const std::exception& e) {
            to_->delivered(inner_->name(), batch.size(), began, e.what());
            throw;
        } catch (...) {
            to_->delivered(inner_->name(), batch.size(), began, "failed");
            throw;
        }
        to_->delivered(inner_->name(), batch.size(), began, {});
    }
    void sync() override { inner_->sync(); }
    void finish() noexcept override { inner_->finish(); }
    void reopen() override { inner_->reopen(); }
    void apply(const tracker::options& fresh) override { inner_->apply(fresh); }
    std::string_view name() const noexcept override { return inner_->name(); }
    std::uint32_t copies() const noexcept override { return inner_->copies(); }
    void prepare() override { inner_->prepare(); }
    bool readable() const noexcept override { return inner_->readable(); }
    std::map<std::string_view, std::uint64_t> disk_errors() const override { return inner_->disk_errors(); }

private:
    const std::unique_ptr<tracker::sink> inner_;
    const std::shared_ptr<other_spans> to_;
};

}  // namespace

std::uint64_t other_spans::next_id() noexcept {
    const std::scoped_lock lock(mutex_);
    return ids_.next();
}

void other_spans::begin(server::observed_call& call, server::trace_context& carried) noexcept try {
    call.began = clock::now();
    auto& ids = call.ids;
    if (carried) {
        ids = carried.ids;
        ids.caller = from_hex(carried.span());
        ids.high = from_hex(carried.id().substr(0, 16));
        ids.low = from_hex(carried.id().substr(16));
        ids.span = next_id();
        call.sampled = sampling_.samples(true, carried.sampled(), ids.low);
    } else {
        ids = {.high = next_id(), .low = next_id(), .span = next_id()};
        call.sampled = sampling_.samples(false, false, ids.low);
        carried.parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-02";
        put_hex(carried.parent, 3, ids.high);
        put_hex(carried.parent, 19, ids.low);
    }
    put_hex(carried.parent, 36, ids.span);
    auto& flags = carried.parent.back();
    flags = static_cast<char>('0' + ((flags - '0') & 2) + (call.sampled ? 1 : 0));
    carried.ids = ids;
} catch (...) {  // no memory
    call.sampled = false;
}

void other_spans::end(const server::observed_call& call) noexcept {
    if (!records_ || !call.sampled) return;
    spans_.add([&](char* at) -> std::size_t {
        try {
            wire_writer to(at, at + record_ring::longest_record);
            const auto span = to.open(2);
            write_ids(to, call.ids);
            to.bytes(5, call.method);
            to.number(6, kind_client);
            write_times(to, call.began);
            const attributes all(to, 9);
            all.text("http.request.method", call.method);
            all.text("server.address", call.host);
            all.number("server.port", call.port);
            const auto brackets = call.host.find(':') != call.host.npos;
            const auto url = std::string(call.scheme) + "://" + (brackets ? "[" : "") + std::string(call.host) +
                             (brackets ? "]:" : ":") + std::to_string(call.port) + std::string(call.path);
            std::string room, query;
            const auto question = std::min(url.find('?'), url.size());
            auto whole = url.substr(0, question);
            if (question < url.size()) {
                whole += '?';
                whole += redacted(std::string_view(url).substr(question + 1), query);
            }
            all.text("url.full", sound_text(whole, room));
            all.text("network.protocol.version", "1.1");
            if (call.status != 0) all.number("http.response.status_code", call.status);
            if (call.status == 0)
                all.text("error.type", sound_text(call.error.message(), room));
            else if (call.status >= 400)
                all.text("error.type", std::to_string(call.status));
            if (call.status == 0 || call.status >= 400) write_failure(to, {});
            to.fixed32(16, sampled_and_random);
            to.close(span);
            return to.fits() ? to.size() : 0;
        } catch (...) {
            return 0;
        }
    });
}

void other_spans::delivered(std::string_view sink, std::size_t events, clock::time_point began,
                            std::string_view failure) noexcept {
    if (!records_) return;
    const server::trace_context::numbers ids{.high = next_id(), .low = next_id(), .span = next_id()};
    if (!sampling_.samples(false, false, ids.low)) return;
    spans_.add([&](char* at) -> std::size_t {
        try {
            wire_writer to(at, at + record_ring::longest_record);
            const auto span = to.open(2);
            write_ids(to, ids);
            to.bytes(5, "deliver " + std::string(sink));
            to.number(6, kind_producer);
            write_times(to, began);
            const attributes all(to, 9);
            std::string room;
            all.text("tracker.sink", sink);
            all.number("messaging.batch.message_count", static_cast<std::int64_t>(events));
            if (!failure.empty()) {
                all.text("error.type", "delivery_failed");
                write_failure(to, sound_text(failure, room));
            }
            to.fixed32(16, sampled_and_random);
            to.close(span);
            return to.fits() ? to.size() : 0;
        } catch (...) {
            return 0;
        }
    });
}

tracker::sink_makers observed(tracker::sink_makers makers, const std::shared_ptr<other_spans>& by) {
    for (auto& [name, make] : makers)
        make = [inner = std::move(make), to = by](const tracker::options& options, spdlog::logger& log,
                                                  tracker::deadline_function deadline) {
            return std::make_unique<observed_sink>(inner(options, log, std::move(deadline)), to);
        };
    return makers;
}

}  // namespace telemetry
