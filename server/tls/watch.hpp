#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

namespace server::tls {

/// When files are looked at that may have changed.
struct pace {
    std::chrono::milliseconds quiet{500};      ///< after the last change, for a pair is not replaced in one step
    std::chrono::milliseconds at_most{5'000};  ///< ... from the first change on
    std::chrono::milliseconds poll{60'000};    ///< whatever is seen: some file systems tell nothing
    std::vector<std::chrono::milliseconds> again{std::chrono::seconds(1), std::chrono::seconds(2),
                                                 std::chrono::seconds(5), std::chrono::seconds(10)};  ///< after a fault
};

/// Calls `look` when one of `files` may have changed, until `token` says stop; `look` is false when it has found a
/// fault, and is then tried again. Watches the folders that hold the paths (inotify(7)), of a link that of the link:
/// what kubelet and certbot do is seen there, and not at the file. Blocks: on a thread of its own. Throws
/// std::system_error.
void watch_files(const std::vector<std::string>& files, const pace& by, const std::function<bool()>& look,
                 const std::stop_token& token);

}  // namespace server::tls
