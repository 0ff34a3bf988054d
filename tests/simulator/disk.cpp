#include "tests/simulator/disk.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace simulator {
namespace {

constexpr std::size_t sector = 512;

int refused(int error) { return static_cast<int>(description::fail(error)); }

void put(std::string& file, std::size_t at, std::string_view bytes) {
    if (file.size() < at + bytes.size()) file.resize(at + bytes.size());
    bytes.copy(file.data() + at, bytes.size());
}

void apply_to(std::string& file, const inode::change& change) {
    if (change.cuts)
        file.resize(change.at);
    else
        put(file, change.at, change.bytes);
}

/// Sectors are written whole or not at all, and in any order.
void apply_torn(std::string& file, const inode::change& change, random_source& chance, std::uint64_t survives) {
    if (change.cuts) {
        if (chance.below(4) < survives) file.resize(change.at);
        return;
    }
    for (std::size_t from = 0; from < change.bytes.size();) {
        const auto to = std::min(change.bytes.size(), from + sector - (change.at + from) % sector);
        if (chance.below(4) < survives)
            put(file, change.at + from, std::string_view(change.bytes).substr(from, to - from));
        from = to;
    }
}

void lose(inode& what, random_source& chance) {
    if (what.is_directory) {
        what.entries = what.durable_entries;
        for (auto& [name, inner] : what.entries) {
            inner->links = 1;
            lose(*inner, chance);
        }
    } else {
        const auto survives = chance.upto(4);  // quarters
        for (const auto& change : what.unsynced) apply_torn(what.durable, change, chance, survives);
        what.unsynced.clear();
        what.bytes = what.durable;
    }
    what.locked_by = nullptr;
}

}  // namespace

disk_tree::disk_tree(kernel& on) : on_(on), root_(std::make_shared<inode>()) {
    root_->is_directory = true;
    root_->number = last_;
}

bool disk_tree::fails(fault which) {
    if (failing[which] == 0) return false;
    if (after[which] > 0) return --after[which], false;
    --failing[which];
    ++failed;
    return true;
}

bool disk_tree::find(std::string_view path, place& into) const {
    into = {nullptr, {}, root_};
    while (!path.empty()) {
        const auto slash = std::min(path.find('/'), path.size());
        const auto name = path.substr(0, slash);
        path.remove_prefix(std::min(path.size(), slash + 1));
        if (name.empty() || name == ".") continue;
        if (!into.what) return refused(ENOENT), false;
        if (!into.what->is_directory) return refused(ENOTDIR), false;
        into.folder = into.what;
        into.name = name;
        const auto found = into.folder->entries.find(name);
        into.what = found == into.folder->entries.end() ? nullptr : found->second;
    }
    return true;
}

void disk_tree::apply(const name_change& change) {
    if (change.other_folder) change.other_folder->durable_entries.erase(change.other_name);
    if (change.what)
        change.folder->durable_entries[change.name] = change.what;
    else
        change.folder->durable_entries.erase(change.name);
}

void disk_tree::note(name_change change) {
    if (change.other_folder) change.other_folder->entries.erase(change.other_name);
    if (change.what)
        change.folder->entries[change.name] = change.what;
    else
        change.folder->entries.erase(change.name);
    names_.push_back(std::move(change));
}

int disk_tree::open(process& by, const char* path, int flags) {
    if (fails(opening)) return refused((flags & O_CREAT) != 0 ? ENOSPC : EIO);
    place at;
    if (!find(path, at)) return -1;
    if (!at.what) {
        if ((flags & O_CREAT) == 0 || !at.folder) return refused(ENOENT);
        at.what = std::make_shared<inode>();
        at.what->number = ++last_;
        note({at.folder, at.name, at.what});
    } else if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
        return refused(EEXIST);
    } else if ((flags & O_DIRECTORY) != 0 && !at.what->is_directory) {
        return refused(ENOTDIR);
    } else if (at.what->is_directory && (flags & O_ACCMODE) != O_RDONLY) {
        return refused(EISDIR);
    }
    if ((flags & O_TRUNC) != 0) truncate(*at.what, 0);
    return by.open(std::make_shared<file_description>(*this, at.what, (flags & O_APPEND) != 0));
}

int disk_tree::make_directory(const char* path) {
    place at;
    if (!find(path, at)) return -1;
    if (at.what) return refused(EEXIST);
    auto made = std::make_shared<inode>();
    made->is_directory = true;
    made->number = ++last_;
    note({at.folder, at.name, std::move(made)});
    return 0;
}

int disk_tree::rename(const char* from, const char* to) {
    place old, fresh;
    if (!find(from, old) || !find(to, fresh)) return -1;
    if (!old.what || !fresh.folder) return refused(ENOENT);
    if (fresh.what && fresh.what->is_directory && !fresh.what->entries.empty()) return refused(ENOTEMPTY);
    if (fresh.what) --fresh.what->links;
    note({fresh.folder, fresh.name, old.what, old.folder, old.name});
    return 0;
}

int disk_tree::unlink(const char* path, bool directory) {
    place at;
    if (!find(path, at)) return -1;
    if (!at.what) return refused(ENOENT);
    if (at.what->is_directory != directory) return refused(directory ? ENOTDIR : EISDIR);
    if (!at.what->entries.empty()) return refused(ENOTEMPTY);
    --at.what->links;
    note({at.folder, at.name, nullptr});
    return 0;
}

void disk_tree::describe(const inode& what, struct stat& into) {
    into = {};
    into.st_dev = 1;
    into.st_ino = what.number;
    into.st_nlink = static_cast<nlink_t>(what.links);
    into.st_mode = what.is_directory ? S_IFDIR | 0755 : S_IFREG | 0640;
    into.st_size = static_cast<off_t>(what.bytes.size());
}

int disk_tree::status(const char* path, struct stat& into) {
    place at;
    if (!find(path, at)) return -1;
    if (!at.what) return refused(ENOENT);
    describe(*at.what, into);
    return 0;
}

bool disk_tree::list(const char* path, std::vector<std::string>& names) {
    place at;
    if (fails(listing)) return refused(EIO), false;
    if (!find(path, at)) return false;
    if (!at.what) return refused(ENOENT), false;
    if (!at.what->is_directory) return refused(ENOTDIR), false;
    for (const auto& [name, what] : at.what->entries) names.push_back(name);
    return true;
}

long disk_tree::read(inode& of, char* into, std::size_t size, std::size_t at) {
    if (fails(reading)) return refused(EIO);
    on_.pass(nanoseconds(size / 8));
    if (at >= of.bytes.size()) return 0;
    return static_cast<long>(std::string_view(of.bytes).substr(at).copy(into, size));
}

long disk_tree::write(inode& to, std::string_view bytes, std::size_t at) {
    if (fails(writing)) {
        if (bytes.size() < 2 || on_.chance().one_in(2)) return refused(on_.chance().one_in(2) ? ENOSPC : EIO);
        bytes = bytes.substr(0, bytes.size() / 2);  // a full disk takes a part first
    }
    put(to.bytes, at, bytes);
    to.unsynced.push_back({at, std::string(bytes), false});
    return static_cast<long>(bytes.size());
}

int disk_tree::sync(inode& what) {
    on_.pass(std::chrono::microseconds(20 + on_.chance().below(300)));
    if (fails(hanging)) {
        auto& waits = *on_.running();
        waits.waits_for_disk = true;
        on_.wait(&what, on_.now() + hang);
        waits.waits_for_disk = false;
        waits.owner->deliver_pending();
    } else
        on_.yield();
    if (fails(syncing)) {
        what.unsynced.clear();  // it counts as clean from here on, and is on no disk
        return refused(EIO);
    }
    if (what.is_directory) {
        std::erase_if(names_, [&](const name_change& change) {
            const bool its = change.folder.get() == &what || change.other_folder.get() == &what;
            if (its) apply(change);
            return its;
        });
        return 0;
    }
    for (const auto& change : what.unsynced) apply_to(what.durable, change);
    what.unsynced.clear();
    return 0;
}

int disk_tree::truncate(inode& what, std::size_t size) {
    what.bytes.resize(size);
    what.unsynced.push_back({size, {}, true});
    return 0;
}

void disk_tree::hold(const std::string& name, std::string bytes) {
    auto made = std::make_shared<inode>();
    made->number = ++last_;
    made->bytes = made->durable = std::move(bytes);
    root_->entries[name] = root_->durable_entries[name] = std::move(made);
}

/// Names come and go in the order of a journal, of which the end is lost.
void disk_tree::lose_power(random_source& chance) {
    const auto kept = chance.upto(names_.size());
    for (std::size_t nth = 0; nth < kept; ++nth) apply(names_[nth]);
    names_.clear();
    lose(*root_, chance);
    failing = {};
}

std::vector<std::pair<std::string, std::string_view>> disk_tree::files_in(std::string_view folder) const {
    std::vector<std::pair<std::string, std::string_view>> all;
    const std::function<void(const inode&, const std::string&)> look = [&](const inode& at, const std::string& path) {
        for (const auto& [name, inner] : at.entries)
            if (inner->is_directory)
                look(*inner, path + "/" + name);
            else
                all.emplace_back(path + "/" + name, inner->bytes);
    };
    place at;
    if (find(folder, at) && at.what) look(*at.what, std::string(folder));
    return all;
}

long file_description::read(void* into, std::size_t size) {
    const auto count = on_.read(*what, static_cast<char*>(into), size, offset);
    if (count > 0) offset += static_cast<std::size_t>(count);
    return count;
}

long file_description::write(const void* from, std::size_t size) {
    if (appends_) offset = what->bytes.size();
    const auto count = on_.write(*what, {static_cast<const char*>(from), size}, offset);
    if (count > 0) offset += static_cast<std::size_t>(count);
    return count;
}

}  // namespace simulator
