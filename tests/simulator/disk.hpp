#pragma once

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/simulator/process.hpp"

namespace simulator {

/// A file or a directory: what every process sees, and what is left of it when the power goes.
struct inode {
    struct change {
        std::size_t at;
        std::string bytes;
        bool cuts;  ///< to `at` bytes
    };

    ino_t number = 0;
    bool is_directory = false;
    int links = 1;
    const void* locked_by = nullptr;

    std::string bytes, durable;
    std::vector<change> unsynced;  ///< in their order

    std::map<std::string, std::shared_ptr<inode>, std::less<>> entries, durable_entries;
};
using inode_ptr = std::shared_ptr<inode>;

/// A disk with its page cache, in memory. What has not been synced is there for every process, and when the power goes
/// some of it is not: of a file any sectors, of names the last ones. It also fails as it is told to.
class disk_tree {
public:
    /// What can fail, each the next so many times after some that do not.
    enum fault : std::uint8_t { reading, writing, syncing, opening, listing, looking, hanging, faults };

    explicit disk_tree(kernel& on);

    int open(process& by, const char* path, int flags);
    int make_directory(const char* path);
    int rename(const char* from, const char* to);
    int unlink(const char* path, bool directory);
    int status(const char* path, struct stat& into);
    /// The names in a directory; false, and errno says why.
    bool list(const char* path, std::vector<std::string>& names);

    // Of an open file.

    long read(inode& of, char* into, std::size_t size, std::size_t at);
    long write(inode& to, std::string_view bytes, std::size_t at);
    int sync(inode& what);
    int truncate(inode& what, std::size_t size);
    static void describe(const inode& what, struct stat& into);

    /// A file in the root that was there before anything else, and is on the platter.
    void hold(const std::string& name, std::string bytes);
    void lose_power(random_source& chance);
    bool fails(fault which);

    /// Everything in files whose path begins so, with the paths; until something is written again.
    std::vector<std::pair<std::string, std::string_view>> files_in(std::string_view folder) const;

    std::array<std::uint64_t, faults> failing{}, after{};
    nanoseconds hang{0};  ///< of a sync, when `hanging`
    std::uint64_t failed = 0;

private:
    struct name_change {
        inode_ptr folder;
        std::string name;
        inode_ptr what;                    ///< nullptr: it is gone
        inode_ptr other_folder = nullptr;  ///< of a rename, the name there is gone
        std::string other_name = {};
    };
    struct place {
        inode_ptr folder;
        std::string name;
        inode_ptr what;
    };
    bool find(std::string_view path, place& into) const;
    void note(name_change change);
    static void apply(const name_change& change);

    kernel& on_;
    inode_ptr root_;
    std::vector<name_change> names_;  ///< that no directory has synced
    ino_t last_ = 1;
};

/// An open file or directory.
class file_description final : public description {
public:
    file_description(disk_tree& on, inode_ptr what, bool appends) : on_(on), what(std::move(what)), appends_(appends) {}
    short ready() const override { return POLLIN | POLLOUT; }
    void closed() override {
        if (what->locked_by == this) what->locked_by = nullptr;
    }
    long read(void* into, std::size_t size) override;
    long write(const void* from, std::size_t size) override;

private:
    disk_tree& on_;

public:
    const inode_ptr what;
    std::size_t offset = 0;

private:
    bool appends_;
};

/// /dev/null.
class null_description final : public description {
public:
    short ready() const override { return POLLIN | POLLOUT; }
    long read(void*, std::size_t) override { return 0; }
    long write(const void*, std::size_t size) override { return static_cast<long>(size); }
};

}  // namespace simulator
