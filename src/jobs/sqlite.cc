#include "jobs/sqlite.h"

#include <errno.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <cstring>

namespace safelight::jobs::sqlite {
namespace {

constexpr int kBusyMs = 5000;
constexpr int kPrimaryCode = 0xff;
constexpr const char* kFullDisk =
    "the disk is full; nothing that was accepted is lost, and it works again as soon as there is "
    "room";

bool is_out_of_room(int system_error) {
  return system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG;
}

/// What an I/O error means to the one who runs the server.
std::string io_remedy(sqlite3* db) {
  const int cause = sqlite3_system_errno(db);
  if (is_out_of_room(cause)) return kFullDisk;
  return fmt::format("the disk refuses: {}; see that the folder can be read and written",
                     cause == 0 ? sqlite3_errmsg(db) : std::strerror(cause));
}

}  // namespace

int64_t Row::integer(int column) const { return sqlite3_column_int64(statement_, column); }
double Row::real(int column) const { return sqlite3_column_double(statement_, column); }
std::string Row::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (text == nullptr) return {};
  return {text, static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

Result<std::unique_ptr<Connection>> Connection::open(const std::filesystem::path& path,
                                                     bool read_only) {
  std::unique_ptr<Connection> connection(new Connection(path));
  const int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  if (sqlite3_open_v2(path.c_str(), &connection->db_, flags, nullptr) != SQLITE_OK) {
    return connection->error();
  }
  sqlite3_extended_result_codes(connection->db_, 1);
  sqlite3_busy_timeout(connection->db_, kBusyMs);
  // A file that somebody made bad must not run code of its own.
  sqlite3_db_config(connection->db_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(connection->db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  return connection;
}

Connection::~Connection() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(db_);
}

Result<sqlite3_stmt*> Connection::prepare(std::string_view sql, Values values) {
  sqlite3_stmt*& statement = statements_[std::string(sql)];
  if (statement == nullptr &&
      sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                         &statement, nullptr) != SQLITE_OK) {
    return error();
  }
  int place = 0;
  for (const Value& value : values) {
    ++place;
    int code = SQLITE_OK;
    if (const auto* integer = std::get_if<int64_t>(&value)) {
      code = sqlite3_bind_int64(statement, place, *integer);
    } else if (const auto* real = std::get_if<double>(&value)) {
      code = sqlite3_bind_double(statement, place, *real);
    } else {
      const auto text = std::get<std::string_view>(value);
      // No pointer would mean NULL.
      code = sqlite3_bind_text64(statement, place, text.data() == nullptr ? "" : text.data(),
                                 text.size(), SQLITE_STATIC, SQLITE_UTF8);
    }
    if (code != SQLITE_OK) return error();
  }
  return statement;
}

Status Connection::each(std::string_view sql, Values values,
                        const std::function<Status(const Row&)>& row) {
  const auto prepared = prepare(sql, values);
  if (!prepared) return prepared.error();
  sqlite3_stmt* statement = *prepared;
  const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> reset(statement, sqlite3_reset);
  for (;;) {
    const int code = sqlite3_step(statement);
    if (code == SQLITE_DONE) return {};
    if (code != SQLITE_ROW) return error();
    if (Status good = row(Row(statement)); !good) return good;
  }
}

Result<int64_t> Connection::run(std::string_view sql, Values values) {
  const auto before = sqlite3_total_changes64(db_);
  const Status done = each(sql, values, [](const Row&) { return Status(); });
  if (!done) return done.error();
  // That of changes() would be of an earlier statement where this one changes nothing.
  return sqlite3_total_changes64(db_) == before ? 0 : sqlite3_changes64(db_);
}

Status Connection::script(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return error();
  return {};
}

bool Connection::in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }

bool Connection::failed_to_sync() const {
  const int code = sqlite3_extended_errcode(db_);
  return code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC;
}

Error Connection::error() const {
  const auto say = [&](ErrorCode code, const std::string& what) {
    return Error{code, path_.string() + ": " + what};
  };
  if (db_ == nullptr) return say(ErrorCode::kOutOfMemory, "no memory to open it");
  switch (sqlite3_extended_errcode(db_) & kPrimaryCode) {
    case SQLITE_FULL:
      return say(ErrorCode::kIo, kFullDisk);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      return say(ErrorCode::kIo, io_remedy(db_));
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return say(ErrorCode::kIo,
                 "cannot be written: the disk or the file is read-only; nothing that was accepted "
                 "is lost, and it works again as soon as it can be written");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return say(ErrorCode::kIo, "another program has it locked; end that one");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return say(ErrorCode::kCorruptFile,
                 fmt::format("the database is damaged ({}); stop the server, then put a copy of "
                             "the folder that is whole in its place, or move the folder away to "
                             "begin with an empty one",
                             sqlite3_errmsg(db_)));
    case SQLITE_NOMEM:
      return say(ErrorCode::kOutOfMemory, "no memory for it");
    default:
      return say(ErrorCode::kInternal, sqlite3_errmsg(db_));
  }
}

}  // namespace safelight::jobs::sqlite
