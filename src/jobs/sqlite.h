#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace safelight::jobs::sqlite {

/// A value for a '?' of a statement. Texts are borrowed for the call.
using Value = std::variant<int64_t, double, std::string_view>;
using Values = std::initializer_list<Value>;

/// A row of an answer, while the function that gets it runs. Columns count from 0.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;

 private:
  sqlite3_stmt* statement_;
};

/// One connection to a database file; for one thread at a time. Statements are compiled once and
/// kept, so their texts must be of a fixed number. Errors: kIo where disk or rights are the cause,
/// kCorruptFile for a damaged database, each with the remedy; kInternal for what only a bug causes.
class Connection {
 public:
  /// Makes the file when it is not there, unless `read_only`.
  static Result<std::unique_ptr<Connection>> open(const std::filesystem::path& path,
                                                  bool read_only);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Runs a statement that gives no rows; how many rows it changed.
  Result<int64_t> run(std::string_view sql, Values values = {});
  /// Calls `row` for each row of the answer, until it returns an error. It may run statements, but
  /// not this one.
  Status each(std::string_view sql, Values values, const std::function<Status(const Row&)>& row);
  /// Runs statements that are needed once, separated by semicolons.
  Status script(const std::string& sql);

  bool in_transaction() const;
  /// Whether the last error was that the disk did not take what it was to make durable.
  bool failed_to_sync() const;

 private:
  explicit Connection(std::filesystem::path path) : path_(std::move(path)) {}
  Result<sqlite3_stmt*> prepare(std::string_view sql, Values values);
  Error error() const;

  std::filesystem::path path_;
  sqlite3* db_ = nullptr;
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
};

}  // namespace safelight::jobs::sqlite
