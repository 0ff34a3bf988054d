#pragma once

#include <ctime>
#include <string>

namespace server {

/// Keeps the value of the field `Date`, which is another once a second. Only on one thread; the text outlives it.
class date_field {
public:
    explicit date_field(std::string& text) noexcept : text_(text) {}

    /// To be called as often as the field is to be right. Throws std::bad_alloc the first time; later the text has its
    /// memory.
    void update(std::time_t now);

private:
    std::string& text_;
    std::time_t second_ = 0;  ///< that the text says; 0: it says nothing yet
};

}  // namespace server
