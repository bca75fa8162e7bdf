#pragma once

#include <boost/json/object.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "jobs/store.h"

namespace safelight::jobs {

/// The protocol between a dispatcher and its worker process: messages of a JSON head and raw bytes,
/// framed as two little-endian uint32 lengths, head, bytes. The kinds, in "kind" of the head:
///
///   to the worker
///     run        {job, attempt, request, delivery, model_sha256}
///     cancel     {job, attempt, mode}     mode: drop, interrupt (CancelMode) or skip (end this
///                                         batch like interrupt, go on with the next)
///     previews   {job, wanted}            whether to make previews of the running job
///     load       {id, model}              load it now, after what runs
///     unload     {id, model}              drop it from memory; without "model" all of them
///     settings   {memory_budget, pinned}
///   from the worker
///     ready      {version, device, policy}
///     loaded     {models: [{name, sha256, bytes, pinned}], current}   after each change; and with
///                {id, error: {code, message}} as the answer to load and unload, without "error"
///                when it was done
///     started    {job, attempt, load_seconds}   the first step begins
///     progress   {job, attempt, batch, batches, step, steps}
///     preview    {job, attempt} + JPEG
///     picture    {job, attempt, file: {...}} + encoded picture
///     ended      {job, attempt, state, error: {code, message}, seconds}   seconds since "started"
struct Message {
  boost::json::object head;
  std::string bytes;

  std::string kind() const;
};

constexpr size_t kMaxHeadBytes = size_t{4} << 20;
constexpr size_t kMaxBlobBytes = size_t{1} << 30;

/// One end of a stream socket. One thread sends or several do; one receives.
class MessageChannel {
 public:
  /// Owns the descriptor.
  explicit MessageChannel(int fd);
  ~MessageChannel();
  MessageChannel(const MessageChannel&) = delete;
  MessageChannel& operator=(const MessageChannel&) = delete;

  /// Errors: kIo when the other side is gone.
  Status send(const Message& message);
  /// Blocks for the next message. Errors: kIo with "closed" at the end of the stream;
  /// kCorruptFile for lengths or JSON that the protocol does not allow.
  Result<Message> receive();
  /// Ends a receive() in another thread.
  void shut_down();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

boost::json::object to_json(const Delivery& delivery);
Result<Delivery> delivery_from_json(const boost::json::value& json);
boost::json::object to_json(const ResultFile& file);
Result<ResultFile> result_file_from_json(const boost::json::value& json);
/// Everything of a NewJob; for stores and transports.
boost::json::object to_json(const NewJob& job);
Result<NewJob> new_job_from_json(const boost::json::value& json);

}  // namespace safelight::jobs
