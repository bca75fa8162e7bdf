#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/principal.h"
#include "base/result.h"

namespace safelight::http {

template <class T>
using Awaitable = boost::asio::awaitable<T>;

/// Which form of error body a route's clients read.
enum class ErrorForm {
  kNative,   ///< {"error": {"code", "message", "field", "request_id"}}
  kSdWebUi,  ///< {"error", "detail", "body", "errors"}
  kOpenAi,   ///< {"error": {"message", "type", "param", "code"}}
};

/// What an error reply says, kept beside its body so that the server can add the request's id.
struct ErrorBody {
  Error error;
  ErrorForm form = ErrorForm::kNative;
  std::string field;  ///< path of the field that is wrong, such as "steps"; may be empty
};

/// A whole answer.
struct Reply {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::optional<ErrorBody> error;  ///< set by error_reply
};

Reply json_reply(const boost::json::value& json, int status = 200);

/// An error as its route's clients read it; the status by error_info(error.code) unless given.
Reply error_reply(const Error& error, ErrorForm form, int status = 0, std::string_view field = {});

/// The body of an error in the form, with the id of its request.
std::string error_body(const ErrorBody& body, std::string_view request_id);

/// An answer that is sent in parts, as long as the client listens.
class ReplyStream {
 public:
  virtual ~ReplyStream() = default;
  /// False when the client has gone. Waits while the client is slow.
  virtual Awaitable<bool> write(std::string_view part) = 0;
};

/// One request and its answer, as a handler sees it. Lives until the handler has ended.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual std::string_view method() const = 0;
  virtual std::string_view path() const = 0;
  virtual const std::string& body() const = 0;
  /// Empty when absent; names in any case. Several fields of one name are joined with ", ".
  virtual std::string_view header(std::string_view name) const = 0;
  /// The decoded value of a query parameter; nothing when absent.
  virtual std::optional<std::string> query(std::string_view name) const = 0;
  /// The decoded part of the path that stands at {name} in the route's pattern.
  virtual std::string_view param(std::string_view name) const = 0;
  virtual const api::Principal& principal() const = 0;
  virtual const std::string& request_id() const = 0;
  virtual std::string_view client_address() const = 0;
  /// "https://host:port" as the client wrote it, for links in answers.
  virtual std::string base_url() const = 0;

  /// Begins an answer in parts; `head.body` is its first part. The handler then returns any Reply:
  /// it is not sent.
  virtual Awaitable<ReplyStream*> stream(Reply head) = 0;

  /// Runs blocking work (store, files) on the server's pool of threads, and comes back.
  virtual Awaitable<void> run_blocking(std::function<void()> work) = 0;
  /// The same for a function with a value.
  template <class Work>
  auto blocking(Work work) -> Awaitable<std::invoke_result_t<Work>> {
    std::optional<std::invoke_result_t<Work>> result;
    co_await run_blocking([&] { result.emplace(work()); });
    co_return std::move(*result);
  }

  /// Whether the client is still connected; false once it has gone away.
  virtual bool connected() const = 0;
};

using Handler = std::function<Awaitable<Reply>(Exchange&)>;

/// An open WebSocket.
class Socket {
 public:
  virtual ~Socket() = default;
  /// The next text message; nothing when the client closed.
  virtual Awaitable<std::optional<std::string>> receive() = 0;
  /// Queues a message, of which many sockets may share the text; false when the client is gone or
  /// so slow that its queue is full. From the server's threads only.
  virtual bool send(std::shared_ptr<const std::string> text) = 0;
  virtual void close(int code, std::string_view reason) = 0;
};

using SocketHandler = std::function<Awaitable<void>(Exchange&, Socket&)>;

/// Who may call a route.
enum class Access {
  kOpen,    ///< anybody, without credentials: health checks, the login page's own files
  kViewer,  ///< may look: lists, own jobs
  kUser,    ///< may generate
  kAdmin,   ///< may change the server
};

struct RouteOptions {
  Access access = Access::kUser;
  ErrorForm errors = ErrorForm::kNative;
  size_t max_body = size_t{1} << 20;
  double rate_cost = 1;           ///< tokens of the rate limit; 0: free (status, progress)
  bool accepts_any_body = false;  ///< else a body must be application/json, or it is a 415
  std::string_view operation;     ///< short name for metrics and the OpenAPI document
};

/// A route: pattern segments are literal or {name}; a last {name*} takes the rest of the path,
/// which may be nothing.
struct Route {
  std::string method;  ///< "GET" answers HEAD too
  std::string pattern;
  RouteOptions options;
  Handler handler;       ///< or
  SocketHandler socket;  ///< a WebSocket upgrade of a GET
};

/// The table of routes; what tests walk. Filled before the server starts, then read by any thread.
class Router {
 public:
  Router();
  void get(std::string pattern, RouteOptions options, Handler handler);
  void post(std::string pattern, RouteOptions options, Handler handler);
  void put(std::string pattern, RouteOptions options, Handler handler);
  void remove(std::string pattern, RouteOptions options, Handler handler);  ///< DELETE
  void socket(std::string pattern, RouteOptions options, SocketHandler handler);

  struct Match {
    const Route* route = nullptr;
    std::vector<std::pair<std::string, std::string>> params;
    bool path_known = false;  ///< a route with another method has this path
    std::string allow;        ///< methods that this path has: "GET, HEAD, POST"
  };
  /// The route of a decoded path (see target.h): literal segments go before {name}, {name} before
  /// {name*}, whatever came first. One "/" at the end does not count. With `upgrade` a socket goes
  /// before a GET of the same path; without, a socket is found where there is no GET.
  Match find(std::string_view method, std::string_view path, bool upgrade = false) const;
  const std::vector<Route>& routes() const { return routes_; }

 private:
  /// A segment of the patterns that begin alike.
  struct Node {
    std::map<std::string, size_t, std::less<>> literals;
    std::optional<size_t> parameter, rest;
    std::vector<size_t> routes;  ///< that end here
  };
  class Search;
  void add(Route route);
  size_t child(size_t node, std::string_view segment);

  std::vector<Route> routes_;
  std::vector<Node> nodes_;
};

}  // namespace safelight::http
