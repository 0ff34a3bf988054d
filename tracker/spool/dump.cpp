#include <fmt/format.h>

#include <cstdio>
#include <system_error>

#include "tracker/spool/disks.hpp"
#include "tracker/spool/segment_set.hpp"
#include "tracker/spool/spool.hpp"

namespace tracker {
namespace {

void dump_segment(const segment& segment, std::uint64_t from, disk& files, std::FILE* out) {
    record_reader reader(files, segment.file.get(), segment.secret(), from, segment.size);
    event event;
    std::string line;
    while (reader.next(event) || (reader.at() != segment.size && reader.skip_damage() && reader.next(event))) {
        line.clear();
        append_json(line, event);
        line += '\n';
        std::fwrite(line.data(), 1, line.size(), out);
    }
}

void dump_set(const std::filesystem::path& directory, disk& files, std::FILE* out, std::FILE* err) {
    const auto set = load_segment_set(directory, {}, {.files = files});
    for (const auto& segment : set->segments) {
        if (segment->no_file) {
            fmt::print(err, "{}: no regular file\n", segment->path.string());
            continue;
        }
        fmt::print(err, "{}: {} bytes, {} events not delivered, torn tail of {} bytes, {} bytes damaged\n",
                   segment->path.string(), segment->size, segment->left(), segment->torn, segment->damaged);
        if (segment->left() > 0) dump_segment(*segment, segment->sinks.front().offset, files, out);
    }
}

}  // namespace

bool dump_spool(const std::filesystem::path& directory, std::FILE* out, std::FILE* err) {
    const auto spool = directory / "spool";
    if (!std::filesystem::is_directory(spool)) {
        fmt::print(err, "{}: there is no spool in it\n", directory.string());
        return false;
    }
    disk real;
    brief_patience patience;  // one that fails now and then is what a spool is saved from
    patient_disk files(real, patience);
    for (const auto& set : sets_in(spool, files)) try {
            dump_set(set, files, out, err);
        } catch (const std::system_error& error) {  // its owner may have removed it meanwhile
            fmt::print(err, "{}: {}\n", set.string(), error.what());
        }
    return true;
}

}  // namespace tracker
