#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <type_traits>
#include <vector>

#include "jobs/sqlite.h"

namespace safelight::jobs {

/// Connections that read a database while another one writes it: they never wait for a sync. Any
/// thread.
class ReadPool {
 public:
  explicit ReadPool(std::filesystem::path path) : path_(std::move(path)) {}

  /// What `read` returns of the database as it is at one moment.
  template <class Read>
  std::invoke_result_t<Read, sqlite::Connection&> read(const Read& read) {
    auto connection = take();
    if (!connection) return connection.error();
    sqlite::Connection& db = **connection;
    if (const auto begun = db.run("BEGIN"); !begun) return begun.error();
    auto answer = read(db);
    if (db.run("COMMIT")) give(std::move(*connection));
    return answer;
  }

 private:
  Result<std::unique_ptr<sqlite::Connection>> take();
  void give(std::unique_ptr<sqlite::Connection> connection);

  std::filesystem::path path_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<sqlite::Connection>> free_;
};

}  // namespace safelight::jobs
