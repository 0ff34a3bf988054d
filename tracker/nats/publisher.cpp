#include "tracker/nats/publisher.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

#include "tracker/nats/stream_info.hpp"

namespace tracker {
namespace {

using lifecycle::clock;
using std::chrono::milliseconds;

/// The flush deadline is looked at this often: a second signal moves it.
constexpr milliseconds look_again{20};

/// nats-server's errors.json: the message is larger than the stream allows.
constexpr int message_too_large = 10054;

}  // namespace

void publisher::publish(natsConnection* broker, answers& answers, atomic_batches* batches,
                        std::span<const event> batch) {
    until_ = clock::now() + options_.patience;
    forget_complaint();
    failure_.clear();
    first_ += fates_.size();  // answers to what an earlier try left are to none of these
    fates_.assign(batch.size(), fate::waits);
    under_way_ = 0;
    if (!acknowledged_.empty())
        for (std::size_t i = 0; i < batch.size(); ++i)
            if (acknowledged_.contains(batch[i].id)) fates_[i] = fate::acknowledged;
    try {
        if (batches != nullptr) publish_whole(*batches, batch);
        const bool all_answered = publish_each(broker, answers, batch);
        throw_what_is_wrong();
        if (!all_answered) throw std::runtime_error(fmt::format("{} messages have not been acknowledged", under_way_));
    } catch (...) {
        keep_acknowledged(batch);
        throw;
    }
    acknowledged_.clear();
}

void publisher::throw_what_is_wrong() const {
    std::vector<std::size_t> rejected;
    for (std::size_t i = 0; i < fates_.size(); ++i)
        if (fates_[i] == fate::rejected) rejected.push_back(i);
    if (!rejected.empty()) throw rejected_event(std::move(rejected), failure_);
    if (const auto why = complaint(); !why.empty()) throw std::runtime_error(why);
    if (!failure_.empty()) throw std::runtime_error(failure_);
}

/// The next try leaves it out.
void publisher::keep_acknowledged(std::span<const event> batch) {
    for (std::size_t i = 0; i < batch.size(); ++i)
        if (fates_[i] == fate::acknowledged) acknowledged_.insert(batch[i].id);
}

/// What has not been acknowledged afterwards goes one by one: what does not fit into a batch, and all of one that the
/// stream has refused, since it does not say on whose account. One message that it has already is enough for that, so
/// it is what follows a batch whose acknowledgement was lost; then each is acknowledged as one that came twice.
void publisher::publish_whole(atomic_batches& batches, std::span<const event> batch) {
    std::vector<std::size_t> chosen;
    std::map<std::string_view, std::size_t> first_of;  // by id
    for (std::size_t i = 0; i < batch.size(); ++i) {
        const auto size = messages_.size(batch[i]);
        const bool fit = fits(batch[i], size, atomic_batches::headers) && batches.may_hold(batch[i], size);
        if (fit && fates_[i] == fate::waits && first_of.emplace(batch[i].id, i).second) chosen.push_back(i);
    }
    bool stored = false;
    for (std::span<const std::size_t> rest = chosen; rest.size() >= atomic_batches::fewest;) {
        const auto part = rest.first(std::min(rest.size(), atomic_batches::most));
        rest = rest.subspan(part.size());
        stored = publish_whole(batches, batch, part) || stored;
    }
    if (!stored) return;
    for (std::size_t i = 0; i < batch.size(); ++i)  // the others of that id
        if (const auto first = first_of.find(batch[i].id); fates_[i] == fate::waits && first != first_of.end())
            fates_[i] = fates_[first->second];
}

/// False: the stream has refused it.
bool publisher::publish_whole(atomic_batches& batches, std::span<const event> batch,
                              std::span<const std::size_t> chosen) try {
    auto refused = batches.publish(batch, chosen);
    if (refused.empty())
        for (const auto i : chosen) fates_[i] = fate::acknowledged;
    else
        refusal_ = std::move(refused);
    return refused.empty();
} catch (const std::runtime_error&) {
    if (auto why = complaint(); !why.empty()) throw std::runtime_error(why);
    throw;
}

/// Once the window is full, half of it has to be acknowledged: to be woken for each message would be a switch of
/// threads for each. Answers are looked at in between, so that few are unread when a connection ends, and forgotten by
/// the library. False: something has not been acknowledged, and nobody waits for that any more.
bool publisher::publish_each(natsConnection* broker, answers& answers, std::span<const event> batch) {
    constexpr std::size_t look_every = 32;
    const auto window = std::max<std::size_t>(options_.in_flight, 1);
    for (std::size_t i = 0; i < batch.size(); ++i) {
        if (fates_[i] != fate::waits) continue;
        if (i % look_every == 0)
            for (auto left = answers.arrived(); left > 0; --left) take_answer(answers, milliseconds(0));
        if (under_way_ == window && !wait_until_under_way_below(window / 2 + 1, broker, answers)) return false;
        publish_one(broker, answers, batch, i);
    }
    return wait_until_under_way_below(1, broker, answers);
}

/// As nats-server counts it (fileStoreMsgSize, memStoreMsgSize), with the two headers of the message.
bool publisher::fits(const event& event, std::size_t size, std::size_t more) const {
    const auto headers = std::string_view("NATS/1.0\r\nNats-Msg-Id: \r\nNats-Expected-Stream: \r\n\r\n").size() +
                         event.id.size() + options_.stream.size();
    return stream_bytes_ == 0 || size + headers + options_.subject.size() + overhead_ + more <= stream_bytes_;
}

void publisher::reject(std::size_t index, std::string why) {
    if (failure_.empty()) failure_ = std::move(why);
    fates_[index] = fate::rejected;
}

void publisher::publish_one(natsConnection* broker, answers& answers, std::span<const event> batch, std::size_t index) {
    const auto& event = batch[index];
    // How large it is costs as much as to make it, and few streams have a limit.
    if (stream_bytes_ != 0 && !fits(event, messages_.size(event)))
        return reject(index, fmt::format("larger than all that stream {} may hold", options_.stream));
    auto status = NATS_OK;
    const auto message = messages_.make(event, answers.subject_of(first_ + index), status);
    if (status == NATS_OK) status = natsConnection_PublishMsg(broker, message.get());
    if (status == NATS_MAX_PAYLOAD) return reject(index, "larger than the broker allows a message to be");
    if (status != NATS_OK) throw std::runtime_error(fmt::format("publish: {}", natsStatus_GetText(status)));
    fates_[index] = fate::under_way;
    ++under_way_;
}

void publisher::complain(std::string what) {
    const std::scoped_lock lock(mutex_);
    if (complaint_.empty()) complaint_ = std::move(what);
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
    return clock::now() >= std::min(until_, deadline_()) || natsConnection_IsClosed(broker) || !complaint().empty();
}

/// False when the time is over first, or the connection, or when the broker has complained.
bool publisher::wait_until_under_way_below(std::size_t limit, natsConnection* broker, answers& answers) {
    if (under_way_ < limit) return true;
    // The library would have the last of them wait for others to come, for a millisecond. The answer to this is not
    // waited for longer than that.
    natsConnection_FlushTimeout(broker, 1);
    for (;;) {
        for (auto left = answers.arrived(); left > 0; --left) take_answer(answers, milliseconds(0));
        if (under_way_ < limit) return true;
        if (given_up(broker)) return false;
        take_answer(answers, look_again);
    }
}

void publisher::take_answer(answers& answers, milliseconds at_most) {
    auto status = NATS_OK;
    const auto answer = answers.next(at_most, status);
    if (status == NATS_NO_RESPONDERS) throw std::runtime_error(natsStatus_GetText(status));  // there is no such stream
    if (status != NATS_OK) return;  // no time, or the connection has ended, which `given_up` sees
    note_answer(answers.number_of(answer.get()),
                {natsMsg_GetData(answer.get()), static_cast<std::size_t>(natsMsg_GetDataLength(answer.get()))});
}

void publisher::note_answer(std::uint64_t number, std::string_view text) {
    if (number < first_ || number - first_ >= fates_.size()) return;  // of a batch that is not waited for any more
    auto& fate = fates_[number - first_];
    if (fate != fate::under_way) return;
    --under_way_;
    fate = fate::waits;
    const auto answer = read_message_answer(text);
    if (answer.error == 0) {
        fate = fate::acknowledged;
        return;
    }
    if (failure_.empty()) failure_ = fmt::format("{} ({})", answer.why, answer.error);
    if (answer.error == message_too_large) fate = fate::rejected;
}

}  // namespace tracker
