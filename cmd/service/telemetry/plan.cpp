#include "cmd/service/telemetry/plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/ssl.hpp>
#include <boost/url.hpp>
#include <charconv>
#include <cstdlib>
#include <random>
#include <stdexcept>

#include "cmd/service/build_info.hpp"
#include "cmd/service/telemetry/wire.hpp"
#include "configs/program.hpp"
#include "lifecycle/lines.hpp"
#include "lifecycle/masked_urls.hpp"
#include "server/head.hpp"
#include "server/request.hpp"

namespace telemetry {
namespace {

namespace ssl = boost::asio::ssl;

constexpr std::string_view default_endpoint = "http://localhost:4318";

/// http or https with a host; no credentials, which belong into a header.
bool is_endpoint(const std::string& text) {
    const auto url = boost::urls::parse_uri(text);
    return url && (url->scheme() == "http" || url->scheme() == "https") && !url->host().empty() &&
           !url->has_userinfo() && !url->has_fragment() && (!url->has_port() || url->port_number() != 0);
}

/// An endpoint without what may be secret in it.
std::string shown(std::string_view url) { return lifecycle::masked_urls(url, lifecycle::url_text::urls); }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

/// `%` that no two hexadecimal digits follow stays.
std::string percent_decoded(std::string_view text) {
    std::string made;
    for (std::size_t at = 0; at < text.size(); ++at) {
        unsigned value = 0;
        const auto digits = text.substr(std::min(at + 1, text.size()), 2);
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
        const bool coded = text[at] == '%' && error == std::errc{} && end == digits.data() + 2;
        made += coded ? static_cast<char>(value) : text[at];
        if (coded) at += 2;
    }
    return made;
}

/// OpenSSL's own words about a file that is not there are "system library".
std::string why_not(const std::string& file, const boost::system::error_code& error) {
    return ::access(file.c_str(), R_OK) == 0 ? error.message() : "it cannot be read";
}

/// As 4 random ones by RFC 9562, section 5.4.
std::string random_uuid() {
    std::random_device random;
    std::array<std::uint32_t, 4> words{random(), random(), random(), random()};
    words[1] = (words[1] & 0xFFFF0FFFU) | 0x4000U;
    words[2] = (words[2] & 0x3FFFFFFFU) | 0x80000000U;
    return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:04x}{:08x}", words[0], words[1] >> 16, words[1] & 0xFFFF,
                       words[2] >> 16, words[2] & 0xFFFF, words[3]);
}

std::string lower(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

class planner {
public:
    planner(const configs::telemetry_options& options, const variables& ask) : options_(options), ask_(ask) {}

    plan make() {
        if (!options_.endpoint.empty() && !is_endpoint(options_.endpoint))
            throw std::runtime_error(
                fmt::format("telemetry.otlp_endpoint '{}': allowed is http://host:port or https://host:port, with a "
                            "path or without",
                            shown(options_.endpoint)));
        if (is_disabled()) return std::move(made_);
        made_.traces = of("TRACES", "v1/traces");
        made_.metrics = of("METRICS", "v1/metrics");
        made_.logs = of("LOGS", "v1/logs");
        if (!made_) return std::move(made_);
        made_.sampling = sampling();
        made_.resource = resource();
        return std::move(made_);
    }

private:
    /// Once, though a variable for all signals is read for each of them.
    template <class... Values>
    void warn(fmt::format_string<Values...> text, Values&&... values) {
        auto line = fmt::format(text, std::forward<Values>(values)...);
        if (std::ranges::count(made_.warnings, line) == 0) made_.warnings.push_back(std::move(line));
    }

    bool is_disabled() {
        const auto said = ask_("OTEL_SDK_DISABLED");
        if (!said) return false;
        const auto value = lower(*said);
        if (value != "true" && value != "false")
            warn("OTEL_SDK_DISABLED '{}': allowed is true or false; false is taken", *said);
        made_.disabled = value == "true";
        return made_.disabled;
    }

    /// OTEL_EXPORTER_OTLP_TRACES_X, or OTEL_EXPORTER_OTLP_X.
    struct said {
        std::string name, value;
    };
    std::optional<said> ask(std::string_view signal, std::string_view what) const {
        for (const auto& name :
             {fmt::format("OTEL_EXPORTER_OTLP_{}_{}", signal, what), fmt::format("OTEL_EXPORTER_OTLP_{}", what)})
            if (const auto value = ask_(name.c_str())) return said{name, *value};
        return std::nullopt;
    }

    std::optional<destination> of(std::string_view signal, std::string_view path) {
        const auto exporter = fmt::format("OTEL_{}_EXPORTER", signal);
        if (const auto kind = ask_(exporter.c_str())) {
            if (*kind == "none") return std::nullopt;
            if (*kind != "otlp") warn("{} '{}': allowed is otlp or none; otlp is taken", exporter, *kind);
        }
        auto url = endpoint(signal, path);
        if (!url) return std::nullopt;
        destination made{.url = std::move(*url),
                         .headers = headers(signal),
                         .timeout = timeout(signal),
                         .gzip = gzip(signal),
                         .ca = authority(signal)};
        take_client_certificate(signal, made);
        const auto protocol = ask(signal, "PROTOCOL");
        if (protocol && protocol->value != "http/protobuf")
            warn("{} '{}': allowed is http/protobuf, which is taken", protocol->name, protocol->value);
        return made;
    }

    /// That of a signal is taken as it is; to the other the path of the signal is added.
    std::optional<std::string> endpoint(std::string_view signal, std::string_view path) {
        const auto own = fmt::format("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal);
        if (const auto value = ask_(own.c_str())) {
            if (is_endpoint(*value)) return value;
            warn("{} '{}': allowed is http://host:port/path or https://; {}/{} is taken", own, shown(*value),
                 default_endpoint, path);
            return fmt::format("{}/{}", default_endpoint, path);
        }
        auto base = options_.endpoint;
        if (base.empty()) {
            const auto value = ask_("OTEL_EXPORTER_OTLP_ENDPOINT");
            if (!value) return std::nullopt;
            base = *value;
        }
        if (!is_endpoint(base)) {
            warn("OTEL_EXPORTER_OTLP_ENDPOINT '{}': allowed is http://host:port or https://; {} is taken", shown(base),
                 default_endpoint);
            base = default_endpoint;
        }
        const auto query = std::min(base.find('?'), base.size());
        auto whole = base.substr(0, query);
        if (whole.back() != '/') whole += '/';
        return fmt::format("{}{}{}", whole, path, base.substr(query));
    }

    /// W3C Baggage without properties: name=value, with commas, values percent-encoded. What is left out is named, but
    /// for what may be a value of a list of secrets.
    template <class Take>
    void for_each_pair(const said& list, bool secret, const Take& take) {
        std::string_view left(list.value);
        while (!left.empty()) {
            const auto comma = std::min(left.find(','), left.size());
            const auto item = trimmed(left.substr(0, comma));
            left.remove_prefix(std::min(comma + 1, left.size()));
            const auto equals = item.find('=');
            if (item.empty()) continue;
            const auto name = trimmed(item.substr(0, std::min(equals, item.size())));
            if (equals != item.npos && !name.empty() && take(name, percent_decoded(trimmed(item.substr(equals + 1)))))
                continue;
            const bool may_be_shown = !secret || (equals != item.npos && server::is_field_name(name));
            warn("{}: '{}' is left out: allowed is name=value, with commas", list.name, may_be_shown ? name : "***");
        }
    }

    fields headers(std::string_view signal) {
        fields all;
        const auto list = ask(signal, "HEADERS");
        if (!list) return all;
        for_each_pair(*list, true, [&](std::string_view name, std::string value) {
            constexpr std::array ours{"host",       "content-length",   "content-type", "content-encoding",
                                      "connection", "transfer-encoding"};
            auto key = lower(std::string(name));
            if (!server::is_field_name(key) || !server::is_field_value(value) || std::ranges::count(ours, key) > 0)
                return false;
            all.emplace_back(std::move(key), std::move(value));
            return true;
        });
        return all;
    }

    /// In milliseconds, whatever an SDK of Python makes of it.
    std::chrono::milliseconds timeout(std::string_view signal) {
        constexpr std::chrono::milliseconds usual{10'000};
        constexpr std::int64_t most = 86'400'000;
        const auto value = ask(signal, "TIMEOUT");
        if (!value) return usual;
        std::int64_t number = 0;
        const auto* const end = value->value.data() + value->value.size();
        const auto [at, error] = std::from_chars(value->value.data(), end, number);
        if (error == std::errc{} && at == end && number > 0 && number <= most) return std::chrono::milliseconds(number);
        warn("{} '{}': allowed are milliseconds, a whole number from 1 to {}; {} is taken", value->name, value->value,
             most, usual.count());
        return usual;
    }

    bool gzip(std::string_view signal) {
        const auto value = ask(signal, "COMPRESSION");
        if (!value || value->value == "none") return false;
        if (value->value != "gzip") warn("{} '{}': allowed is gzip or none; none is taken", value->name, value->value);
        return value->value == "gzip";
    }

    /// Looked into now: what cannot be used as it stands is a warning, and no connection that fails for ever.
    std::string authority(std::string_view signal) {
        const auto value = ask(signal, "CERTIFICATE");
        if (!value) return {};
        ssl::context tls(ssl::context::tls_client);
        boost::system::error_code error;
        tls.load_verify_file(value->value, error);
        if (!error) return value->value;
        warn("{} '{}' is as if it were not set: {}", value->name, value->value, why_not(value->value, error));
        return {};
    }

    void take_client_certificate(std::string_view signal, destination& into) {
        const auto certificate = ask(signal, "CLIENT_CERTIFICATE"), key = ask(signal, "CLIENT_KEY");
        if (!certificate && !key) return;
        if (!certificate || !key) {
            warn("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY go together: neither is taken");
            return;
        }
        ssl::context tls(ssl::context::tls_client);
        tls.set_password_callback([](std::size_t, ssl::context::password_purpose) { return std::string(); });
        boost::system::error_code error;
        const auto* at_fault = &*certificate;
        tls.use_certificate_chain_file(certificate->value, error);
        if (!error) {
            at_fault = &*key;
            tls.use_private_key_file(key->value, ssl::context::pem, error);
        }
        if (!error) {
            into.certificate = certificate->value;
            into.key = key->value;
            return;
        }
        warn("{} '{}': {}: neither certificate nor key is taken", at_fault->name, at_fault->value,
             why_not(at_fault->value, error));
    }

    sampler sampling() {
        const auto said = ask_("OTEL_TRACES_SAMPLER");
        auto name = lower(said.value_or("parentbased_always_on"));
        sampler made;
        const bool by_parent = name.starts_with("parentbased_");
        const auto root = by_parent ? name.substr(std::string_view("parentbased_").size()) : name;
        made.by_parent = by_parent;
        if (root == "always_off") {
            made.of_roots = sampler::root::never;
        } else if (root == "traceidratio") {
            made.of_roots = sampler::root::ratio;
            made.fraction = fraction();
        } else if (root != "always_on") {
            warn(
                "OTEL_TRACES_SAMPLER '{}': allowed are always_on, always_off, traceidratio and parentbased_ before "
                "each; parentbased_always_on is taken",
                *said);
            name = "parentbased_always_on";
            made = {};
        }
        made_.sampler_name = made.of_roots == sampler::root::ratio ? fmt::format("{} {}", name, made.fraction) : name;
        return made;
    }

    double fraction() {
        const auto said = ask_("OTEL_TRACES_SAMPLER_ARG");
        if (!said) return 1;
        double value = 0;
        const auto* const end = said->data() + said->size();
        const auto [at, error] = std::from_chars(said->data(), end, value);
        if (error == std::errc{} && at == end && value >= 0 && value <= 1) return value;
        warn("OTEL_TRACES_SAMPLER_ARG '{}': allowed is a number from 0 to 1; 1 is taken", *said);
        return 1;
    }

    fields resource() {
        std::array<char, 256> host{};
        ::gethostname(host.data(), host.size() - 1);
        fields all{{"service.name", std::string(configs::this_program().name)},
                   {"service.version", std::string(build_info::version())},
                   {"service.instance.id", random_uuid()},
                   {"host.name", host.data()},
                   {"telemetry.sdk.name", std::string(configs::this_program().name)},
                   {"telemetry.sdk.language", "cpp"},
                   {"telemetry.sdk.version", std::string(build_info::version())}};
        const auto set = [&](std::string_view name, std::string_view value) {
            std::string room;
            const std::string key(sound_text(percent_decoded(name), room)), sound(sound_text(value, room));
            const auto found = std::ranges::find(all, key, &fields::value_type::first);
            if (found != all.end())
                found->second = sound;
            else
                all.emplace_back(key, sound);
            return true;
        };
        if (const auto list = ask_("OTEL_RESOURCE_ATTRIBUTES"))
            for_each_pair({"OTEL_RESOURCE_ATTRIBUTES", *list}, false, set);
        if (const auto name = ask_("OTEL_SERVICE_NAME")) set("service.name", *name);
        return all;
    }

    const configs::telemetry_options& options_;
    const variables& ask_;
    plan made_;
};

}  // namespace

std::optional<std::string> variable_of_process(const char* name) {
    const char* const value = std::getenv(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
}

plan make_plan(const configs::telemetry_options& options, const variables& ask) { return planner(options, ask).make(); }

void say(const plan& made, spdlog::logger& log) {
    for (const auto& warning : made.warnings) lifecycle::lines(log).warn("telemetry: {warning}", warning);
    if (made.disabled) lifecycle::lines(log).info("telemetry: off, by OTEL_SDK_DISABLED");
    if (!made) return;
    const auto describe = [&](std::string_view signal, const std::optional<destination>& to) {
        if (!to) return;
        lifecycle::lines(log).info(
            "telemetry: {signal} to {url}, timeout {timeout_ms} ms, {compression}, {headers} header fields", signal,
            shown(to->url), to->timeout.count(), to->gzip ? "gzip" : "not compressed", to->headers.size());
    };
    describe("traces", made.traces);
    describe("metrics", made.metrics);
    describe("logs", made.logs);
    std::vector<std::string> attributes;
    for (const auto& [name, value] : made.resource) attributes.push_back(fmt::format("{}={}", name, value));
    lifecycle::lines(log).info("telemetry: sampler {sampler}; resource {resource}", made.sampler_name,
                               fmt::format("{}", fmt::join(attributes, ", ")));
}

}  // namespace telemetry
