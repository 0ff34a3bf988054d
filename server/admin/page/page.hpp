#pragma once

#include <atomic>
#include <stop_token>
#include <string>
#include <string_view>

#include "server/admin/debug.hpp"
#include "server/admin/page/history.hpp"

namespace server {

/// What a browser gets at `/debug/`: one file that asks for nothing from elsewhere. Without script it has the index and
/// the figures of this moment as text; with it, it shows the last two minutes at once, and moves. It outlives the debug
/// server.
class live_page {
public:
    /// Of what `from` refers to, which must outlive it.
    explicit live_page(const debug_sources& from);

    /// The answer to a browser; `index` is the text that everybody else gets. On the debug loop; never blocks.
    response html(std::string_view index) const;

    /// Adds what the script asks for to the routes of the debug port:
    ///   /debug/history   the last two minutes, JSON; ?since=N only what came after an earlier answer
    ///   /debug/outcome   waits until the stop is over, at most 10 s, and says how it went, JSON
    void add_routes(router& routes);

    /// Blocks until asked to stop: takes a reading at once and then each second. On a thread of its own.
    void keep_history(const std::stop_token& token, spdlog::logger& log);

    /// The debug server is about to close: a page that waits for the outcome has it when this returns. Blocks for as
    /// long as half of the debug part's share of the budget at most; not at all while nobody waits.
    void last_words() noexcept;

private:
    std::string history_json(std::uint64_t since) const;
    lifecycle::awaitable<response> outcome(lifecycle::context context);

    const debug_sources from_;
    const lifecycle::clock::time_point began_;
    history history_;
    std::atomic<bool> ending_{false};
    std::atomic<int> waiting_{0};  ///< for the outcome
};

/// page.html as it was built in: `{{name}}`, `{{version}}`, `{{phase}}`, `{{figures}}`, `{{first}}`, `{{index}}` and
/// `{{nonce}}` stand for what each answer fills in.
std::string_view page_template() noexcept;

/// For the text and the attributes of HTML.
std::string escape_html(std::string_view text);

/// What has been counted by now. Safe from any thread.
reading take_reading(const debug_sources& from);

}  // namespace server
