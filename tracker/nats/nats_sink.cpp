#include "tracker/nats/nats_sink.hpp"

#include <fmt/format.h>
#include <nats/nats.h>
#include <spdlog/logger.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lifecycle/lines.hpp"
#include "tracker/nats/answers.hpp"
#include "tracker/nats/atomic_batches.hpp"
#include "tracker/nats/publisher.hpp"
#include "tracker/nats/stream_info.hpp"

namespace tracker {
namespace {

using lifecycle::clock;
using std::chrono::milliseconds;

constexpr milliseconds longest_connect{2'000};  ///< to one server
constexpr milliseconds longest_question{5'000};
constexpr milliseconds between_questions{250};
constexpr std::int64_t library_end_ms = 1'000;
constexpr std::chrono::seconds between_lines{5};  ///< that are about every connection

/// The library says goodbye to a broker that hangs for half a second: natsConnection_Destroy.
constexpr milliseconds goodbye{550};

template <auto destroy>
struct destroyer {
    void operator()(auto* object) const noexcept { destroy(object); }
};
using connection_ptr = std::unique_ptr<natsConnection, destroyer<natsConnection_Destroy>>;
using options_ptr = std::unique_ptr<natsOptions, destroyer<natsOptions_Destroy>>;

void check(natsStatus status, std::string_view what) {
    if (status == NATS_OK) return;
    const char* const more = nats_GetLastError(nullptr);
    throw std::runtime_error(fmt::format("{}: {}{}{}", what, natsStatus_GetText(status), more != nullptr ? ": " : "",
                                         more != nullptr ? more : ""));
}

std::vector<std::string> servers_of(std::string_view list) {
    std::vector<std::string> all;
    for (;;) {
        const auto comma = list.find(',');
        all.emplace_back(list.substr(0, comma));
        if (comma == list.npos) return all;
        list.remove_prefix(comma + 1);
    }
}

options_ptr options_for(const nats_options& from) {
    natsOptions* made = nullptr;
    check(natsOptions_Create(&made), "cnats");
    options_ptr options(made);
    const auto servers = servers_of(from.url);
    std::vector<const char*> urls;
    urls.reserve(servers.size());
    for (const auto& server : servers) urls.push_back(server.c_str());
    check(natsOptions_SetServers(made, urls.data(), static_cast<int>(urls.size())), "tracker.nats_url");
    check(natsOptions_SetName(made, "curfew"), "name");
    // A new connection is made here, where it is known what has not been acknowledged.
    check(natsOptions_SetAllowReconnect(made, false), "reconnect");
    if (!from.credentials.empty() && ::access(from.credentials.c_str(), R_OK) != 0)
        throw std::runtime_error(fmt::format("tracker.nats_credentials '{}' cannot be read", from.credentials));
    if (!from.credentials.empty())
        check(natsOptions_SetUserCredentialsFromFiles(made, from.credentials.c_str(), nullptr),
              "tracker.nats_credentials");
    const bool secure = std::ranges::any_of(servers, [](const auto& server) { return server.starts_with("tls://"); });
    if (secure || !from.ca.empty()) check(natsOptions_SetSecure(made, true), "TLS");
    if (!from.ca.empty()) check(natsOptions_LoadCATrustedCertificates(made, from.ca.c_str()), "tracker.nats_ca");
    if (!from.certificate.empty())
        check(natsOptions_LoadCertificatesChain(made, from.certificate.c_str(), from.key.c_str()),
              "tracker.nats_certificate, tracker.nats_key");
    return options;
}

}  // namespace

/// A connection, given up with the first failure, and the stream on it.
class nats_sink::connection {
public:
    connection(nats_sink& of, natsOptions* options) : sink_(of) {
        of.publisher_->forget_complaint();
        check(natsOptions_SetErrorHandler(options, on_error, of.publisher_.get()), "error handler");
        const auto servers = 1 + std::ranges::count(of.options_.url, ',');
        check(natsOptions_SetTimeout(options, std::max<std::int64_t>(left(longest_connect).count() / servers, 1)),
              "connect");
        natsConnection* made = nullptr;
        check(natsConnection_Connect(&made, options), "connect");
        broker_.reset(made);
        answers_ = std::make_unique<answers>(made);
        ready_stream();
    }
    /// libnats 3.4 looks a message's subscription up and lets go of the lock before it uses it (nats.c#637): one that
    /// is destroyed while acknowledgements arrive, as at a deadline, is used after it. So its reader ends first.
    ~connection() { natsConnection_Close(broker_.get()); }
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    void publish(std::span<const event> batch) {
        sink_.publisher_->publish(broker_.get(), *answers_, batches_.get(), batch);
    }

private:
    milliseconds left(milliseconds at_most) const {
        const auto until_deadline = std::chrono::duration_cast<milliseconds>(sink_.deadline_() - clock::now());
        return std::clamp(until_deadline, milliseconds(1), at_most);
    }

    /// "Permissions Violation for Publish to …", on a thread of the library.
    static void on_error(natsConnection* broker, natsSubscription*, natsStatus status, void* self) noexcept try {
        const char* more = nullptr;
        natsConnection_GetLastError(broker, &more);
        static_cast<publisher*>(self)->complain(more != nullptr && *more != '\0' ? more : natsStatus_GetText(status));
    } catch (...) {  // NOLINT(bugprone-empty-catch): no memory; the worker's patience ends
    }

    /// Asked again and again: what a leader had in hand when it went is never answered, and another one is there soon.
    /// To make a stream a second time is no fault.
    stream_info ask(std::string_view verb, const std::string& request) const {
        const auto what = fmt::format("stream {}", sink_.options_.stream);
        const auto subject = fmt::format("$JS.API.STREAM.{}.{}", verb, sink_.options_.stream);
        const auto until = clock::now() + left(longest_question);
        for (;;) {
            natsMsg* made = nullptr;
            const auto status = natsConnection_RequestString(&made, broker_.get(), subject.c_str(), request.c_str(),
                                                             left(between_questions).count());
            const message_ptr answer(made);
            if (status == NATS_TIMEOUT && clock::now() < until && sink_.publisher_->complaint().empty()) continue;
            check_answer(status, what);
            try {
                return read_stream_info({natsMsg_GetData(made), static_cast<std::size_t>(natsMsg_GetDataLength(made))});
            } catch (const std::runtime_error& fault) {
                throw std::runtime_error(fmt::format("{}: {}", what, fault.what()));
            }
        }
    }

    /// A question that the broker does not answer may be one that this user may not ask.
    void check_answer(natsStatus status, const std::string& what) const {
        const auto complaint = sink_.publisher_->complaint();
        if (status != NATS_OK && !complaint.empty()) throw std::runtime_error(fmt::format("{}: {}", what, complaint));
        check(status, what);
    }

    void ready_stream() {
        const auto& wanted = sink_.options_;
        const auto info = ask("INFO", "");
        if (info.error == stream_info::not_found) return create_stream();
        if (info.error != 0)
            throw std::runtime_error(fmt::format("stream {}: {} ({})", wanted.stream, info.why, info.error));
        sink_.has_seen_stream_ = true;
        sink_.publisher_->stream_holds(info.max_bytes, info.in_memory ? 16 : 34);
        if (info.no_ack) throw std::runtime_error(fmt::format("stream {} acknowledges nothing", wanted.stream));
        if (info.async)
            throw std::runtime_error(
                fmt::format("stream {} acknowledges what it has not written yet (persist_mode async)", wanted.stream));
        choose_batches(info);
        sink_.say_worth(info.replicas, info.in_memory);
        const auto window = info.duplicate_window;
        if (window < wanted.duplicate_window && clock::now() >= sink_.next_line_) {
            sink_.next_line_ = clock::now() + between_lines;
            lifecycle::lines(sink_.log_)
                .warn(
                    "tracker: the duplicate window of stream {stream} is {window_ms} ms, of "
                    "tracker.nats_duplicate_window {wanted_ms} ms: after a longer outage an event may be in it twice",
                    wanted.stream, window.count(), wanted.duplicate_window.count());
        }
    }

    /// Where the stream cannot have batches nothing waits for it: what they are worth is speed.
    void choose_batches(const stream_info& info) {
        if (!sink_.options_.atomic) return;
        if (info.allow_atomic) {
            batches_ = std::make_unique<atomic_batches>(broker_.get(), sink_.all_,
                                                        [this] { return sink_.publisher_->given_up(broker_.get()); });
            return;
        }
        if (clock::now() < std::exchange(sink_.next_atomic_line_, clock::now() + between_lines)) return;
        lifecycle::lines(sink_.log_)
            .warn(
                "tracker: the stream {stream} does not allow atomic batches (allow_atomic, nats-server 2.12): with "
                "tracker.nats_atomic too its messages go one by one",
                sink_.options_.stream);
    }

    void create_stream() {
        const auto& wanted = sink_.options_;
        // By ourselves: cnats leaves out what is newer than it.
        const auto info =
            ask("CREATE",
                fmt::format(R"({{"name":"{}","subjects":["{}"],"retention":"limits","storage":"file","discard":"old",)"
                            R"("num_replicas":{},"duplicate_window":{}{}}})",
                            wanted.stream, wanted.subject, wanted.replicas,
                            std::chrono::nanoseconds(wanted.duplicate_window).count(),
                            wanted.atomic ? R"(,"allow_atomic":true)" : ""));
        if (info.error != 0)
            throw std::runtime_error(
                fmt::format("stream {} cannot be made: {} ({})", wanted.stream, info.why, info.error));
        choose_batches(info);
        sink_.publisher_->stream_holds(0, 0);
        sink_.say_worth(static_cast<std::uint32_t>(wanted.replicas), false);
        if (std::exchange(sink_.has_seen_stream_, true))
            return lifecycle::lines(sink_.log_)
                .warn(
                    "tracker: the stream {stream} was gone and is created again, with {replicas} replicas: what was in "
                    "it "
                    "is gone",
                    wanted.stream, wanted.replicas);
        lifecycle::lines(sink_.log_)
            .info("tracker: made the stream {stream} with {replicas} replicas", wanted.stream, wanted.replicas);
    }

    nats_sink& sink_;
    connection_ptr broker_;
    std::unique_ptr<answers> answers_;
    std::unique_ptr<atomic_batches> batches_;  ///< null: messages go one by one
};

nats_sink::nats_sink(const options& options, spdlog::logger& log, deadline_function deadline)
    : all_(options),
      options_(all_.nats),
      log_(log),
      deadline_([deadline = std::move(deadline)] {
          const auto until = deadline();
          return until == clock::time_point::max() ? until : until - goodbye;
      }),
      publisher_(std::make_unique<publisher>(options, deadline_)) {
    options_for(options_);  // so that a file that cannot be read is a fault at the start
}

nats_sink::~nats_sink() { finish(); }

void nats_sink::deliver(std::span<const event> batch) try {
    if (clock::now() >= deadline_()) throw std::runtime_error("no time is left");
    if (!connection_) connection_ = std::make_unique<connection>(*this, options_for(options_).get());
    connection_->publish(batch);
    say_refusal();
} catch (const rejected_event&) {
    throw;
} catch (...) {
    connection_.reset();  // the next try goes to a server that is there, and looks at the stream
    throw;
}

/// Of a batch whose events are in the stream now all the same.
void nats_sink::say_refusal() {
    const auto why = publisher_->refusal();
    if (why.empty() || clock::now() < next_atomic_line_) return;
    next_atomic_line_ = clock::now() + between_lines;
    lifecycle::lines(log_).warn("tracker: the stream {stream} has refused a batch, which went one by one: {error}",
                                options_.stream, why);
}

/// What an acknowledgement is worth, as far as the broker tells: not whether it syncs. Once, and when it changes.
void nats_sink::say_worth(std::uint32_t replicas, bool in_memory) {
    copies_.store(replicas, std::memory_order_relaxed);
    auto worth = fmt::format("{}{}", replicas, in_memory);
    if (worth == std::exchange(worth_, worth)) return;
    lifecycle::lines(log_).info(
        "tracker: what the stream {stream} acknowledges is in the {storage} of {replicas} of its servers",
        options_.stream, in_memory ? "memory" : "page cache (on the disk with sync_interval: always)", replicas);
}

void nats_sink::finish() noexcept {
    connection_.reset();
    nats_CloseAndWait(library_end_ms);  // or its threads would be threads that are left
}

std::unique_ptr<sink> make_nats_sink(const options& options, spdlog::logger& log, deadline_function deadline) {
    return std::make_unique<nats_sink>(options, log, std::move(deadline));
}

}  // namespace tracker
