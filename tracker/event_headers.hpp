#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace tracker {

/// What an event says of itself beside its data: attributes of CloudEvents 1.0, which sinks put into the headers of its
/// message where `tracker.cloudevents` is on. `datacontenttype`, `traceparent`, `partitionkey` (Kafka's key), `type`,
/// `source`, `subject`, or any other name of 1 to 20 characters of [a-z0-9]; `id`, `time`, `specversion` and `data` are
/// the event's own. Each once, in the order in which they were set.
///
/// A value, the size of a pointer; none: it costs no memory. No thread safety of its own.
class event_headers {
public:
    /// Of all together, as `bytes` counts them.
    static constexpr std::size_t most_bytes = 8 * 1024;

    event_headers() noexcept = default;
    event_headers(event_headers&&) noexcept = default;
    event_headers& operator=(event_headers&&) noexcept = default;
    event_headers(const event_headers& other) : encoded_(copy(other)) {}
    event_headers& operator=(const event_headers& other) {
        encoded_ = copy(other);
        return *this;
    }
    ~event_headers() = default;

    /// Whether an event may have such a one: the name, and a value of UTF-8 without control characters, not empty.
    static bool sound(std::string_view name, std::string_view value) noexcept;

    /// False, and nothing has changed, when it is not sound, or there would be too much. In place of one of that name.
    bool set(std::string_view name, std::string_view value);
    void erase(std::string_view name);

    bool empty() const noexcept { return !encoded_; }
    /// Of names and values and three for each: what they count in `tracker.queue_bytes`, and take in a spool.
    std::size_t bytes() const noexcept { return encoded_ ? encoded_->size() : 0; }
    /// Empty: there is none.
    std::string_view find(std::string_view name) const noexcept;
    /// `use(name, value)` for each.
    template <class Use>
    void each(Use use) const {
        for (auto rest = encoded(); !rest.empty();) {
            const auto first = take(rest);
            use(first.first, first.second);
        }
    }

    /// As docs/spool-format.md has them; good as long as nothing is set.
    std::string_view encoded() const noexcept { return encoded_ ? std::string_view(*encoded_) : std::string_view(); }
    /// Whether `decode` would take these bytes; asks for no memory.
    static bool is_encoding(std::string_view bytes) noexcept;
    /// None: these bytes are not such.
    static std::optional<event_headers> decode(std::string_view bytes);

    bool operator==(const event_headers& other) const noexcept { return encoded() == other.encoded(); }

private:
    static std::unique_ptr<std::string> copy(const event_headers& from) {
        return from.encoded_ ? std::make_unique<std::string>(*from.encoded_) : nullptr;
    }
    static std::string_view find_in(std::string_view encoded, std::string_view name) noexcept;
    /// The first of what is encoded, and takes it away.
    static std::pair<std::string_view, std::string_view> take(std::string_view& rest) noexcept;

    std::unique_ptr<std::string> encoded_;  ///< null: none
};

}  // namespace tracker
