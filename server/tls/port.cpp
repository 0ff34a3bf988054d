#include "server/tls/port.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "lifecycle/lines.hpp"
#include "server/tls/fault.hpp"
#include "server/tls/generation.hpp"
#include "server/tls/session.hpp"

namespace server::tls {
namespace {

constexpr std::time_t day = 24 * 60 * 60;
constexpr std::time_t early = 14 * day;  // of the first warning; the second comes a day before the end

std::string line_of(const fault& fault, const port::show& shown) {
    return fmt::format("{}: {}: allowed is {}", shown(fault.key), fault.what(), fault.allowed);
}

/// Of each subject, by that of its certificates which ends first: with two kinds of key there are two.
std::map<std::string, std::time_t> ends_of(const generation& serving) {
    std::map<std::string, std::time_t> ends;
    for (const auto& each : serving.certificates()) {
        const auto [found, is_new] = ends.emplace(each.subject, each.not_after);
        if (!is_new) found->second = std::min(found->second, each.not_after);
    }
    return ends;
}

}  // namespace

struct port::state final : layer_source {
    state(std::string listener, const tls_options& given, const show& how, spdlog::logger& to, const pace& when)
        : name(std::move(listener)), by(given), shown(how), log(to), looks(when), own_key(make_ticket_key()) {}

    std::unique_ptr<layer> make() override { return std::make_unique<session>(now(), counts); }
    /// A fatal alert, internal_error (RFC 8446, section 6), in a record that every version reads.
    std::string_view refusal() const noexcept override { return {"\x15\x03\x03\x00\x02\x02\x50", 7}; }

    std::shared_ptr<const generation> now() const {
        const std::scoped_lock lock(mutex);
        return in_force;
    }
    std::shared_ptr<const generation> read() const { return std::make_shared<const generation>(by, name, own_key); }
    void put(std::shared_ptr<const generation> fresh);
    bool look(bool asked);
    void warn_of_end();
    void account();

    const std::string name;
    const tls_options by;
    const show shown;
    spdlog::logger& log;
    const pace looks;
    const ticket_key own_key;
    const std::shared_ptr<tally> counts = std::make_shared<tally>();
    mutable std::mutex mutex;
    std::shared_ptr<const generation> in_force;
    std::mutex looking;                         ///< one at a time; it guards the two below
    std::string last_fault;                     ///< said, and still so
    std::map<std::string, std::time_t> warned;  ///< by its file, how long before its end each was at its last warning
    std::atomic<std::uint64_t> applied{0}, refused{0};
};

void port::state::put(std::shared_ptr<const generation> fresh) {
    for (const auto& warning : fresh->warnings()) lifecycle::lines(log).warn("{part}: {error}", name, warning);
    for (const auto& certificate : fresh->certificates())
        lifecycle::lines(log).info("{server}: the certificate of {subject} in {path} is in force, valid until {until}",
                                   name, certificate.subject, certificate.file, in_words(certificate.not_after));
    const std::scoped_lock lock(mutex);
    in_force.swap(fresh);
}

/// False: there is a fault.
bool port::state::look(bool asked) {
    const std::scoped_lock one_at_a_time(looking);
    try {
        auto fresh = read();
        if (fresh->digest() == now()->digest()) {
            if (asked) lifecycle::lines(log).info("{server}: the certificates have not changed", name);
        } else {
            put(std::move(fresh));
            ++applied;
            warned.clear();
        }
        last_fault.clear();
    } catch (const std::exception& e) {
        const auto* const known = dynamic_cast<const fault*>(&e);
        const auto text = known != nullptr ? line_of(*known, shown) : std::string(e.what());
        if (asked || text != last_fault) {
            ++refused;
            lifecycle::lines(log).error("{server}: the certificates stay as they are: {error}", name, text);
        }
        last_fault = text;
        return false;
    }
    warn_of_end();
    return true;
}

/// Two weeks before the end of each, and a day before it.
void port::state::warn_of_end() {
    const auto serving = now();
    for (const auto& each : serving->certificates()) {
        const auto left = each.not_after - std::time(nullptr);
        const auto due = left <= day ? day : left <= early ? early : 0;
        auto& before = warned[each.file];
        if (due == 0 || (before != 0 && due >= before)) continue;
        before = due;
        lifecycle::lines(log).warn("{server}: the certificate of {subject} in {path} expires at {until}", name,
                                   each.subject, each.file, in_words(each.not_after));
    }
}

/// At the end nobody fetches metrics any more, and to most clients such a handshake is a lost request.
void port::state::account() {
    const auto cut = counts->refused[static_cast<std::size_t>(tls::refusal::cut)].load();
    if (cut > 0)
        lifecycle::lines(log).info(
            "{server}: TLS handshakes that were cut, since they lasted too long or to the end of the stop: {times}",
            name, cut);
}

port::port(std::string name, const tls_options& by, const show& shown, spdlog::logger& log, const pace& when) {
    if (by.certificate.empty() && by.key.empty() && by.client_ca.empty() && by.ticket_key.empty()) return;
    try {
        auto made = std::make_shared<state>(std::move(name), by, shown, log, when);
        made->put(made->read());
        made->warn_of_end();
        state_ = std::move(made);
    } catch (const fault& wrong) {
        throw std::runtime_error(line_of(wrong, shown));
    }
}

port::~port() = default;

void port::check(std::string_view name, const tls_options& by, const show& shown) try {
    if (!by.certificate.empty() || !by.key.empty() || !by.client_ca.empty() || !by.ticket_key.empty())
        generation(by, name, make_ticket_key());
} catch (const fault& wrong) {
    throw std::runtime_error(line_of(wrong, shown));
}

std::shared_ptr<layer_source> port::layers() const { return state_; }

void port::reload() {
    if (state_) state_->look(true);
}

std::jthread port::watch(lifecycle::workers& workers) const {
    if (!state_) return {};
    return workers.start(state_->name + "-tls-files", "worker", [state = state_](const std::stop_token& token) {
        auto files = state->by.certificate;
        files.insert(files.end(), state->by.key.begin(), state->by.key.end());
        for (const auto* const file : {&state->by.client_ca, &state->by.ticket_key})
            if (!file->empty()) files.push_back(*file);
        try {
            watch_files(
                files, state->looks, [&state] { return state->look(false); }, token);
        } catch (const std::exception& e) {
            lifecycle::lines(state->log)
                .error("{server}: files are not watched, certificates change by SIGHUP alone: {error}", state->name,
                       e.what());
        }
        state->account();
    });
}

void port::write_metrics(metrics_text& out, std::initializer_list<const port*> ports) {
    std::vector<const state*> all;
    for (const auto* const port : ports)
        if (port->state_) all.push_back(port->state_.get());
    if (all.empty()) return;
    const auto number = [](const auto& n) { return static_cast<double>(n); };
    const auto server = [](const state& state) { return label("server", state.name) + ','; };
    out.family("tls_handshakes_total", "counter", "Handshakes, by version of TLS and whether a session was resumed.");
    for (const auto* const port : all)
        for (std::size_t version = 0; version < 2; ++version)
            for (std::size_t resumed = 0; resumed < 2; ++resumed)
                out.sample(server(*port) + label("version", version == 1 ? "1.3" : "1.2") + ',' +
                               label("resumed", resumed == 1 ? "true" : "false"),
                           number(port->counts->done[version][resumed].load()));
    out.family("tls_handshake_failures_total", "counter", "Connections that have not come to a handshake, by reason.");
    for (const auto* const port : all)
        for (std::size_t why = 0; why < refusals; ++why)
            out.sample(server(*port) + label("reason", to_string(static_cast<refusal>(why))),
                       number(port->counts->refused[why].load()));
    out.family("tls_certificate_not_after_seconds", "gauge", "When a certificate expires, in seconds since 1970.");
    for (const auto* const port : all) {
        for (const auto& [subject, end] : ends_of(*port->now()))
            out.sample(server(*port) + label("name", subject), number(end));
    }
    out.family("tls_reloads_total", "counter", "Looks at changed files of certificates, by what came of them.");
    for (const auto* const port : all) {
        out.sample(server(*port) + label("result", "applied"), number(port->applied.load()));
        out.sample(server(*port) + label("result", "refused"), number(port->refused.load()));
    }
}

}  // namespace server::tls
