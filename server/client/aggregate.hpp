#pragma once

#include "server/router.hpp"

namespace server {

class http_client;

/// GET /aggregate?url=…&url=…: calls all of them, four at a time, and answers what they have said, in the order of
/// the query:
/// {"complete":true,"results":[{"url":"…","status":200,"body":"…","ms":3},{"url":"…","error":"late","ms":90}]}.
///
/// It keeps a tenth of its time for itself, so one that is late costs only its own result: 200 and `"complete":false`.
/// 502 when no upstream has answered, 504 when that was for lack of time. 400 for what is no URL, no url at all, or
/// more than sixteen; 403 for an upstream that the settings do not allow.
lifecycle::awaitable<response> aggregate(const http_client& client, lifecycle::context context, const request& request);

}  // namespace server
