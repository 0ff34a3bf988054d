#pragma once

#include <string>
#include <string_view>

#include "server/admin/debug.hpp"

namespace server {

/// What a browser gets at `/debug/`: one file that asks for nothing from elsewhere. Without script it has the index and
/// the figures of this moment as text; with it, it moves, by `/metrics`, `/debug/shutdown` and `/debug/tasks`.
/// `index` is the text that everybody else gets. On the debug loop; never blocks.
response live_page(const debug_sources& from, std::string_view index);

/// page.html as it was built in: `{{name}}`, `{{version}}`, `{{phase}}`, `{{figures}}`, `{{index}}` and `{{nonce}}`
/// stand for what each answer fills in.
std::string_view page_template() noexcept;

/// For the text and the attributes of HTML.
std::string escape_html(std::string_view text);

}  // namespace server
