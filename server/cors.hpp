#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "server/router.hpp"

namespace server {

/// What pages of other origins may do with the routes that `cors` is used for (Fetch standard, section 3.2).
struct cors_options {
    std::vector<std::string> origins =
        {};  ///< "https://shop.example", as browsers write it; "*": each, without credentials
    std::vector<std::string> methods{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
    std::vector<std::string> headers{"Content-Type"};  ///< that a page may send besides those that it always may
    std::vector<std::string> exposed = {};             ///< that a page may read besides those that it always may
    bool credentials = false;                          ///< with cookies and client certificates
    std::chrono::seconds max_age{600};                 ///< for which a browser does not ask again
};

/// Answers what a browser asks first (preflight), and says on each answer whether the page may read it. It keeps no
/// request out: clients that are not browsers do not ask. Use it before middleware that refuses, such as
/// `require_bearer`, since a browser asks without a key. Pages cannot read what the server answers without a handler,
/// except 404, 405 and OPTIONS (so not a 503 of `app.max_in_flight`, or a 500). Throws std::invalid_argument for "*"
/// with credentials.
middleware cors(cors_options options);

}  // namespace server
