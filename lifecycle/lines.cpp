#include "lifecycle/lines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

namespace lifecycle {
namespace {

/// Sinks are called by the thread that logs, so what it says beside the sentence lies here meanwhile.
thread_local log_facts being_written;

/// What the logger turns into text, where it catches what is thrown.
struct in_words {
    std::span<const std::string_view> pieces;
    std::span<const log_fact> facts;
};

}  // namespace
}  // namespace lifecycle

template <>
struct fmt::formatter<lifecycle::in_words> {
    static constexpr auto parse(format_parse_context& context) { return context.begin(); }

    template <class Context>
    static auto format(const lifecycle::in_words& line, Context& context) {
        auto out = context.out();
        for (std::size_t nth = 0; nth < line.facts.size(); ++nth) {
            out = put(out, line.pieces[nth]);
            out = put(out, line.facts[nth]);
        }
        return put(out, line.pieces.back());
    }

private:
    template <class Out>
    static Out put(Out out, std::string_view text) {
        return std::copy(text.begin(), text.end(), out);
    }
    template <class Out>
    static Out put(Out out, const lifecycle::log_fact& fact) {
        using kind = lifecycle::log_fact::kind;
        switch (fact.what) {
            case kind::integer: return fmt::format_to(out, "{}", fact.integer);
            case kind::count: return fmt::format_to(out, "{}", fact.count);
            case kind::real: return fmt::format_to(out, "{}", fact.real);
            case kind::truth: return put(out, std::string_view(fact.integer != 0 ? "true" : "false"));
            case kind::microseconds: return fmt::format_to(out, "{}us", fact.count);
            case kind::text:
            case kind::json: break;
        }
        return put(out, fact.text);
    }
};

namespace lifecycle {

log_facts facts_of_this_line() noexcept { return being_written; }

lines::lines(spdlog::logger* to, std::span<const log_fact> of_request) noexcept
    : to_(to), of_request_count_(std::min(of_request.size(), most_of_request)) {
    std::copy_n(of_request.begin(), of_request_count_, of_request_.begin());
}

void lines::write(spdlog::level::level_enum level, std::span<const std::string_view> pieces,
                  std::span<const log_fact> facts) const {
    assert(pieces.size() == facts.size() + 1 && "a value between each two pieces of the sentence");
    struct while_written {
        explicit while_written(const log_facts& facts) { being_written = facts; }
        ~while_written() { being_written = before; }
        const log_facts before = being_written;
    };
    // A name is in a line once, as JSON and OTLP want it: the sentence knows better.
    std::array<log_fact, most_of_request> others;
    const auto is_new = [&](const log_fact& fact) {
        return std::ranges::count(facts, fact.name, &log_fact::name) == 0;
    };
    const auto end = std::copy_if(of_request_.begin(), of_request_.begin() + of_request_count_, others.begin(), is_new);
    const while_written here({facts, {others.begin(), end}});
    to_->log(level, "{}", in_words{pieces, facts});
}

}  // namespace lifecycle
