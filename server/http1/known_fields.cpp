#include "server/http1/known_fields.hpp"

#include <cassert>
#include <new>

namespace server {

bool known_fields::learn(std::string_view text, request& from, const meaning& what) noexcept {
    text_.clear();
    if (text.size() > most) return false;
    try {
        text_ = text;
    } catch (const std::bad_alloc&) {  // they are read again the next time
        return false;
    }
    const auto move = [&](std::string_view& view) {
        assert(view.data() >= text.data() && view.data() + view.size() <= text.data() + text.size());
        view = std::string_view(text_).substr(static_cast<std::size_t>(view.data() - text.data()), view.size());
    };
    for (auto& field : from.fields) {
        move(field.name);
        move(field.value);
    }
    what_ = what;
    move(what_.host);
    from.host = what_.host;
    return true;
}

}  // namespace server
