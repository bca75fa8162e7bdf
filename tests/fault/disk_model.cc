#include "disk_model.h"

#include <cstring>
#include <fstream>
#include <stdexcept>

namespace safelight::fault {
namespace {

namespace fs = std::filesystem;

struct Head {
  int32_t kind, fd;
  int64_t offset;
  uint32_t path_bytes, data_bytes;
};

std::string take(std::istream& in, size_t bytes) {
  std::string text(bytes, '\0');
  if (!in.read(text.data(), static_cast<std::streamsize>(bytes))) {
    throw std::runtime_error("the log of calls ends within a call");
  }
  return text;
}

/// SQLite makes its index of the log anew after a crash, whatever is in it.
bool matters(const std::string& name) { return !name.ends_with("-shm"); }

}  // namespace

std::vector<Call> read_calls(const fs::path& log) {
  std::ifstream in(log, std::ios::binary);
  std::vector<Call> calls;
  while (in.peek() != std::ifstream::traits_type::eof()) {
    Head head{};
    std::memcpy(&head, take(in, sizeof(head)).data(), sizeof(head));
    Call call{.kind = static_cast<Call::Kind>(head.kind), .fd = head.fd, .offset = head.offset};
    call.path = take(in, head.path_bytes);
    call.data = take(in, head.data_bytes);
    calls.push_back(std::move(call));
  }
  return calls;
}

DiskModel::DiskModel(fs::path root) : root_(std::move(root)) { folders_[root_]; }

void DiskModel::apply(const Change& change, std::string& content) {
  const auto end = static_cast<size_t>(change.offset) + change.data.size();
  if (change.is_truncate || content.size() < end) content.resize(end);
  content.replace(static_cast<size_t>(change.offset), change.data.size(), change.data);
}

void DiskModel::apply(const Call& call) {
  const auto file = open_files_.find(call.fd);
  switch (call.kind) {
    case Call::Kind::kOpen:
      return open(call);
    case Call::Kind::kClose:
      open_files_.erase(call.fd);
      open_folders_.erase(call.fd);
      return;
    case Call::Kind::kWrite:
    case Call::Kind::kTruncate:
      file->second->unsynced.push_back({.is_truncate = call.kind == Call::Kind::kTruncate,
                                        .offset = call.offset,
                                        .data = call.data});
      return;
    case Call::Kind::kSync:
      return sync(call.fd);
    case Call::Kind::kFailedSync:
      // The system takes its pages for written then, and never tries again.
      file->second->unsynced.clear();
      return;
    case Call::Kind::kMakeFolder:
      folders_[call.path];
      return change_name(call.path, std::make_shared<Node>());
    case Call::Kind::kRename: {
      const fs::path from = call.path;
      const Node node = folders_.at(from.parent_path()).now.at(from.filename());
      change_name(call.data, std::make_shared<Node>(node));
      return change_name(from, nullptr);
    }
    case Call::Kind::kUnlink:
      return change_name(call.path, nullptr);
    case Call::Kind::kNote:
      return;
  }
  throw std::runtime_error("the log of calls holds a call of no kind");
}

void DiskModel::open(const Call& call) {
  const fs::path path = call.path;
  if (folders_.contains(path)) {
    open_folders_[call.fd] = path;
    return;
  }
  const Names& names = folders_.at(path.parent_path()).now;
  if (!names.contains(path.filename())) {
    change_name(path, std::make_shared<Node>(Node{.file = std::make_shared<File>()}));
  }
  open_files_[call.fd] = names.at(path.filename()).file;
  if (call.offset != 0) open_files_[call.fd]->unsynced.push_back({.is_truncate = true});
}

void DiskModel::change_name(const fs::path& path, const std::shared_ptr<Node>& node) {
  Folder& folder = folders_.at(path.parent_path());
  const auto change = [name = path.filename().string(), node](Names& names) {
    if (node) {
      names.insert_or_assign(name, *node);
    } else {
      names.erase(name);
    }
  };
  change(folder.now);
  folder.unsynced.emplace_back(change);
}

void DiskModel::sync(int fd) {
  if (const auto path = open_folders_.find(fd); path != open_folders_.end()) {
    Folder& folder = folders_.at(path->second);
    for (const auto& change : folder.unsynced) change(folder.kept);
    folder.unsynced.clear();
    return;
  }
  File& file = *open_files_.at(fd);
  for (const Change& change : file.unsynced) apply(change, file.kept);
  file.unsynced.clear();
}

void DiskModel::crash(const fs::path& folder, std::mt19937* random) const {
  fs::create_directories(folder);
  write_folder(root_, folder, random);
}

void DiskModel::write_folder(const fs::path& from, const fs::path& to, std::mt19937* random) const {
  const Folder& folder = folders_.at(from);
  Names names = folder.kept;
  const size_t beginning = random != nullptr ? (*random)() % (folder.unsynced.size() + 1) : 0;
  for (size_t i = 0; i < beginning; ++i) folder.unsynced[i](names);
  for (const auto& [name, node] : names) {
    if (!matters(name)) continue;
    if (!node.file) {
      fs::create_directory(to / name);
      write_folder(from / name, to / name, random);
      continue;
    }
    std::string content = node.file->kept;
    for (Change change : node.file->unsynced) {
      if (random == nullptr || (*random)() % 2 == 0) continue;
      if ((*random)() % 4 == 0) change.data.resize(change.data.size() / 2);
      apply(change, content);
    }
    std::ofstream(to / name, std::ios::binary) << content;
  }
}

}  // namespace safelight::fault
