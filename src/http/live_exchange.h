#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/answer.h"
#include "http/core.h"
#include "http/gatekeeper.h"
#include "http/request_parser.h"
#include "http/target.h"
#include "http/transport.h"

namespace safelight::http {

/// An exchange of a connection.
class LiveExchange final : public Exchange, private ReplyStream {
 public:
  /// `peer`: the address that the connection comes from.
  LiveExchange(Core& core, Transport& transport, RequestParser& parser,
               const boost::asio::ip::address& peer);

  /// Decodes the target. Errors: those of parse_target.
  Status decode();
  /// Finds the route of the decoded path; parameters are then known.
  void find_route();

  /// The path is the subpath without a slash behind it: links of its page would lead beside it.
  bool lacks_slash() const { return bare_subpath_; }

  std::string_view method() const override { return head_.method; }
  std::string_view path() const override { return target_.path; }
  const std::string& body() const override { return parser_.body(); }
  std::string_view header(std::string_view name) const override { return head_.field(name); }
  std::optional<std::string> query(std::string_view name) const override;
  std::string_view param(std::string_view name) const override;
  const api::Principal& principal() const override { return admission.principal; }
  const std::string& request_id() const override { return request_id_; }
  std::string_view client_address() const override { return client_address_; }
  std::string base_url() const override;
  Awaitable<ReplyStream*> stream(Reply reply) override;
  Awaitable<void> run_blocking(std::function<void()> work) override;
  bool connected() const override { return transport_.connected(); }

  const RequestHead& head() const { return head_; }
  const Router::Match& match() const { return match_; }
  bool is_upgrade() const;
  ErrorForm error_form() const;
  /// The origin of the page that asks when the server lets it.
  std::string_view allowed_origin() const;

  /// Sends the whole answer. False when the client has gone.
  Awaitable<bool> send(Reply reply);
  /// Sends the head of the answer that makes the connection a WebSocket.
  Awaitable<bool> send_upgrade(Reply reply);
  /// Ends the stream that the handler began. False when it did not reach the client.
  Awaitable<bool> end_stream();
  bool is_streaming() const { return streaming_; }
  int status() const { return status_; }  ///< that was sent; 0 while none was
  /// The client went before it had the answer: nginx' status for that goes into log and metrics.
  void set_gone() { status_ = 499; }

  Admission admission;
  bool admitted = false;  ///< the gatekeeper let it pass, and `admission` tells who it is
  bool keep_alive = false;
  Clock::time_point begun = Clock::now();

 private:
  Awaitable<bool> write(std::string_view part) override;
  AnswerFrame frame() const;
  void believe_proxy();

  Core& core_;
  Transport& transport_;
  RequestParser& parser_;
  RequestHead& head_;
  Target target_;
  Router::Match match_;
  std::string request_id_, client_address_;
  std::string scheme_, prefix_;
  bool bare_subpath_ = false;
  bool streaming_ = false, stream_sound_ = true, chunked_ = false;
  int status_ = 0;
};

}  // namespace safelight::http
