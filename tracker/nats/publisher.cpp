#include "tracker/nats/publisher.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

namespace tracker {
namespace {

using lifecycle::clock;

/// The flush deadline is looked at this often: a second signal moves it.
constexpr std::chrono::milliseconds look_again{20};

/// nats-server's errors.json: the message is larger than the stream allows.
constexpr int message_too_large = 10054;

}  // namespace

void publisher::publish(natsConnection* broker, jsCtx* stream, atomic_batches* batches, std::span<const event> batch) {
    until_ = clock::now() + options_.patience;
    {
        const std::scoped_lock lock(mutex_);
        open_.clear();  // what an earlier try left is published again, with the same id
        failure_.clear();
        rejected_.clear();
        complaint_.clear();
    }
    if (batches != nullptr) publish_whole(*batches, batch);
    bool all_out = true;
    for (const auto i : not_acknowledged(batch)) {
        all_out = open(batch[i], broker);
        if (!all_out) break;
        publish_one(stream, batch[i]);
    }
    const bool all_answered = all_out && wait_until_open_below(1, broker);
    const std::scoped_lock lock(mutex_);
    if (!rejected_.empty()) {
        std::vector<std::size_t> indices;
        for (std::size_t i = 0; i < batch.size(); ++i)
            if (rejected_.contains(batch[i].id)) indices.push_back(i);
        throw rejected_event(std::move(indices), failure_);
    }
    if (!complaint_.empty()) throw std::runtime_error(complaint_);
    if (!failure_.empty()) throw std::runtime_error(failure_);
    if (!all_answered) throw std::runtime_error(fmt::format("{} messages have not been acknowledged", open_.size()));
    acknowledged_.clear();
}

/// What has not been acknowledged afterwards goes one by one: what does not fit into a batch, and all of one that the
/// stream has refused, since it does not say on whose account. One message that it has already is enough for that, so
/// it is what follows a batch whose acknowledgement was lost; then each is acknowledged as one that came twice.
void publisher::publish_whole(atomic_batches& batches, std::span<const event> batch) {
    std::vector<std::size_t> chosen;
    std::set<std::string_view> ids;
    for (std::size_t i = 0; i < batch.size(); ++i) {
        const auto size = messages_.size(batch[i]);
        const bool fit = fits(batch[i], size, atomic_batches::headers) && batches.may_hold(batch[i], size);
        const std::scoped_lock lock(mutex_);
        if (fit && !acknowledged_.contains(batch[i].id) && ids.insert(batch[i].id).second) chosen.push_back(i);
    }
    for (std::span<const std::size_t> rest = chosen; rest.size() >= atomic_batches::fewest;) {
        const auto part = rest.first(std::min(rest.size(), atomic_batches::most));
        rest = rest.subspan(part.size());
        publish_whole(batches, batch, part);
    }
}

void publisher::publish_whole(atomic_batches& batches, std::span<const event> batch,
                              std::span<const std::size_t> chosen) try {
    auto refused = batches.publish(batch, chosen);
    const std::scoped_lock lock(mutex_);
    if (refused.empty())
        for (const auto i : chosen) acknowledged_.insert(batch[i].id);
    else
        refusal_ = std::move(refused);
} catch (const std::runtime_error&) {
    if (auto why = complaint(); !why.empty()) throw std::runtime_error(why);
    throw;
}

/// As nats-server counts it (fileStoreMsgSize, memStoreMsgSize), with the two headers of the message.
bool publisher::fits(const event& event, std::size_t size, std::size_t more) const {
    const auto headers = std::string_view("NATS/1.0\r\nNats-Msg-Id: \r\nNats-Expected-Stream: \r\n\r\n").size() +
                         event.id.size() + options_.stream.size();
    return stream_bytes_ == 0 || size + headers + options_.subject.size() + overhead_ + more <= stream_bytes_;
}

void publisher::reject(const event& event, std::string why) {
    const std::scoped_lock lock(mutex_);
    if (const auto found = open_.find(event.id); found != open_.end()) open_.erase(found);
    if (failure_.empty()) failure_ = std::move(why);
    rejected_.insert(event.id);
}

/// It is in `open_`.
void publisher::publish_one(jsCtx* stream, const event& event) {
    // How large it is costs as much as to make it, and few streams have a limit.
    if (stream_bytes_ != 0 && !fits(event, messages_.size(event)))
        return reject(event, fmt::format("larger than all that stream {} may hold", options_.stream));
    auto status = NATS_OK;
    auto message = messages_.make(event, nullptr, status);
    if (status == NATS_OK) {
        jsPubOptions how;
        jsPubOptions_Init(&how);
        how.ExpectStream = options_.stream.c_str();
        how.MaxWait = options_.patience.count();  // without it a lost answer is waited for without end
        natsMsg* given = message.release();
        status = js_PublishMsgAsync(stream, &given, &how);  // null when the library has it
        message.reset(given);
    }
    if (status == NATS_OK) return;
    if (status == NATS_MAX_PAYLOAD) return reject(event, "larger than the broker allows a message to be");
    const std::scoped_lock lock(mutex_);
    if (const auto found = open_.find(event.id); found != open_.end()) open_.erase(found);
    throw std::runtime_error(fmt::format("publish: {}", natsStatus_GetText(status)));
}

void publisher::complain(std::string what) {
    const std::scoped_lock lock(mutex_);
    if (complaint_.empty()) complaint_ = std::move(what);
    changed_.notify_one();
}

std::string publisher::complaint() const {
    const std::scoped_lock lock(mutex_);
    return complaint_;
}

void publisher::forget_complaint() {
    const std::scoped_lock lock(mutex_);
    complaint_.clear();
}

bool publisher::given_up(natsConnection* broker) const {
    const std::scoped_lock lock(mutex_);
    return over(broker);
}

/// Mutex held.
bool publisher::over(natsConnection* broker) const {
    return clock::now() >= std::min(until_, deadline_()) || natsConnection_IsClosed(broker) || !complaint_.empty();
}

std::vector<std::size_t> publisher::not_acknowledged(std::span<const event> batch) const {
    std::vector<std::size_t> rest;
    rest.reserve(batch.size());
    const std::scoped_lock lock(mutex_);
    for (std::size_t i = 0; i < batch.size(); ++i)
        if (!acknowledged_.contains(batch[i].id)) rest.push_back(i);
    return rest;
}

/// Once the window is full, half of it has to be acknowledged: to be woken for each message would be a switch of
/// threads for each. False: that has not come.
bool publisher::open(const event& event, natsConnection* broker) {
    {
        const std::scoped_lock lock(mutex_);
        if (open_.size() < options_.in_flight) {
            open_.insert(event.id);
            return true;
        }
    }
    if (!wait_until_open_below(options_.in_flight / 2 + 1, broker)) return false;
    const std::scoped_lock lock(mutex_);
    open_.insert(event.id);
    return true;
}

/// False when the time is over first, or the connection, or when the broker has complained.
bool publisher::wait_until_open_below(std::size_t limit, natsConnection* broker) {
    std::unique_lock lock(mutex_);
    wanted_below_ = limit;
    while (open_.size() >= limit) {
        if (over(broker)) return false;
        changed_.wait_until(lock, clock::now() + look_again);
    }
    wanted_below_ = 0;
    return true;
}

void publisher::on_answer(jsCtx*, natsMsg* message, jsPubAck*, jsPubAckErr* failed, void* self) noexcept try {
    const char* id = nullptr;
    if (natsMsgHeader_Get(message, "Nats-Msg-Id", &id) == NATS_OK) static_cast<publisher*>(self)->answered(id, failed);
    natsMsg_Destroy(message);
} catch (...) {  // NOLINT(bugprone-empty-catch): no memory; the worker's patience ends
}

/// The worker is woken without the lock, which it would wait for.
void publisher::answered(std::string_view id, const jsPubAckErr* failed) {
    if (note_answer(id, failed)) changed_.notify_one();
}

/// True: the worker waits for this one.
bool publisher::note_answer(std::string_view id, const jsPubAckErr* failed) {
    const std::scoped_lock lock(mutex_);
    const auto found = open_.find(id);
    if (found == open_.end()) return false;  // of a batch that is not waited for any more
    auto known = open_.extract(found);
    if (failed == nullptr) {
        acknowledged_.insert(std::move(known));
    } else {
        if (failure_.empty())
            failure_ = fmt::format("{} ({}, {})", failed->ErrText != nullptr ? failed->ErrText : "",
                                   natsStatus_GetText(failed->Err), static_cast<int>(failed->ErrCode));
        if (failed->ErrCode == message_too_large) rejected_.insert(std::move(known));
    }
    return open_.size() < wanted_below_;
}

}  // namespace tracker
