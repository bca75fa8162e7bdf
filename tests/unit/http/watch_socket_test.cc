#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>

#include "api/native/watch_message.h"
#include "http/routes/native.h"
#include "http/routes/native_socket.h"
#include "unit/http/route_world.h"

namespace safelight::http {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

/// A socket whose client sends when the test says so.
class PipeSocket final : public Socket {
 public:
  Awaitable<std::optional<std::string>> receive() override {
    while (incoming.empty() && !gone) co_await pause(milliseconds(1));
    if (incoming.empty()) co_return std::nullopt;
    std::string text = std::move(incoming.front());
    incoming.pop_front();
    co_return text;
  }
  bool send(std::shared_ptr<const std::string> text) override {
    if (full) return false;
    texts.push_back(text);
    return true;
  }
  void close(int code, std::string_view) override {
    closed = code;
    gone = true;
  }

  /// Messages of a type, in the order in which they came.
  std::vector<json::object> of(std::string_view type) const {
    std::vector<json::object> found;
    for (const auto& text : texts) {
      json::object message = parse_json(*text).value().as_object();
      if (std::string_view(message.at("type").as_string()) == type)
        found.push_back(std::move(message));
    }
    return found;
  }

  std::deque<std::string> incoming;
  std::vector<std::shared_ptr<const std::string>> texts;
  bool gone = false, full = false;
  int closed = 0;
};

struct WatchSocket : ::testing::Test {
  RouteWorld world;
  WatchParts parts{.broadcast = std::make_shared<EventBroadcast>(),
                   .interest = std::make_shared<PreviewInterest>(world.workers)};
  WatchSocket() { parts.broadcast->listen(world.service.hub()); }

  struct Client {
    FakeExchange exchange{"GET", "/api/v1/events"};
    PipeSocket socket;
  };

  /// Serves the clients, while `script` runs; then they go.
  void serve(std::vector<Client*> clients, Awaitable<void> script) {
    boost::asio::io_context context;
    const auto rethrow = [](std::exception_ptr thrown) {
      if (thrown) std::rethrow_exception(thrown);
    };
    for (Client* client : clients) {
      boost::asio::co_spawn(
          context, watch_events(client->exchange, client->socket, world.backend, parts), rethrow);
    }
    boost::asio::co_spawn(context, std::move(script), [&](std::exception_ptr thrown) {
      rethrow(thrown);
      for (Client* client : clients) client->socket.gone = true;
    });
    context.run();
  }
  static Awaitable<void> settle() { return pause(milliseconds(50)); }
};

TEST_F(WatchSocket, ASubscriberGetsTheStateAndThenEachEvent) {
  Client client;
  const std::string id = world.submit();
  const auto script = [&]() -> Awaitable<void> {
    client.socket.incoming.push_back(fmt::format(R"({{"subscribe": "{}"}})", id));
    co_await settle();
    const jobs::Lease lease = world.start();
    world.progress(id, 1, 2);
    co_await settle();
    world.finish(lease, {"x"});
    co_await settle();
  };
  serve({&client}, script());
  EXPECT_EQ(client.socket.of("subscribed").at(0).at("job"), json::value(id));
  const auto states = client.socket.of("state");
  ASSERT_EQ(states.size(), 3U);
  EXPECT_EQ(states[0].at("snapshot"), true);
  EXPECT_EQ(states[0].at("state"), "queued");
  EXPECT_EQ(states[1].at("state"), "running");
  EXPECT_EQ(states[2].at("state"), "succeeded");
  EXPECT_EQ(client.socket.of("progress").at(0).at("eta_seconds"), 1.5);
}

TEST_F(WatchSocket, ManyShareOneText) {
  std::vector<Client> clients(50);
  std::vector<Client*> all;
  const std::string id = world.submit();
  for (Client& client : clients) {
    client.socket.incoming.push_back(R"({"subscribe": "*"})");
    all.push_back(&client);
  }
  const auto script = [&]() -> Awaitable<void> {
    co_await settle();
    world.start();
    co_await settle();
  };
  serve(all, script());
  for (const Client& client : clients) {
    ASSERT_EQ(client.socket.texts.size(), 2U);
    EXPECT_EQ(client.socket.texts[1], clients[0].socket.texts[1]) << "the same object";
  }
}

TEST_F(WatchSocket, WhoWatchesAJobAndAllGetsItsEventsOnce) {
  Client client;
  const std::string id = world.submit();
  const std::string other = world.submit();
  client.socket.incoming.push_back(fmt::format(R"({{"subscribe": ["*", "{}"]}})", id));
  const auto script = [&]() -> Awaitable<void> {
    co_await settle();
    world.publish(id, jobs::State::kRunning);
    world.publish(other, jobs::State::kRunning);
    co_await settle();
    client.socket.incoming.push_back(fmt::format(R"({{"unsubscribe": "{}"}})", id));
    co_await settle();
    world.publish(id, jobs::State::kSucceeded);
    co_await settle();  // events are sent by another thread
    client.socket.incoming.push_back(R"({"unsubscribe": "*"})");
    co_await settle();
    world.publish(other, jobs::State::kSucceeded);
    co_await settle();
  };
  serve({&client}, script());
  EXPECT_EQ(client.socket.of("state").size(), 4U) << "a snapshot, two begin, one ends";
  EXPECT_EQ(client.socket.of("unsubscribed").size(), 2U);
}

TEST_F(WatchSocket, UsersGetTheirOwnJobs) {
  Client ann, admin;
  ann.exchange.as({.name = "ann", .role = api::Role::kUser});
  const std::string own = world.submit("ann");
  const std::string theirs = world.submit("bob");
  ann.socket.incoming.push_back(fmt::format(R"({{"subscribe": ["*", "{}", "nobody"]}})", theirs));
  admin.socket.incoming.push_back(R"({"subscribe": "*"})");
  const auto script = [&]() -> Awaitable<void> {
    co_await settle();
    world.publish(own, jobs::State::kRunning);
    world.publish(theirs, jobs::State::kRunning);
    co_await settle();
  };
  serve({&ann, &admin}, script());
  ASSERT_EQ(ann.socket.of("state").size(), 1U);
  EXPECT_EQ(ann.socket.of("state")[0].at("job"), json::value(own));
  const auto errors = ann.socket.of("error");
  ASSERT_EQ(errors.size(), 2U);
  EXPECT_EQ(errors[0].at("code"), "not_found");
  EXPECT_EQ(errors[0].at("job"), json::value(theirs));
  EXPECT_EQ(admin.socket.of("state").size(), 2U);
}

TEST_F(WatchSocket, PreviewsAreForThoseWhoWantThemAsOftenAsTheyWant) {
  Client plain, often;
  const std::string id = world.submit();
  plain.socket.incoming.push_back(fmt::format(R"({{"subscribe": "{}"}})", id));
  often.socket.incoming.push_back(
      fmt::format(R"({{"subscribe": "{}", "previews": true, "preview_interval_ms": 100}})", id));
  const auto script = [&]() -> Awaitable<void> {
    co_await settle();
    world.preview(id);
    world.preview(id);
    co_await pause(milliseconds(120));
    world.preview(id);
    co_await settle();
  };
  serve({&plain, &often}, script());
  EXPECT_EQ(plain.socket.of("preview").size(), 0U);
  const auto previews = often.socket.of("preview");
  ASSERT_EQ(previews.size(), 2U);
  EXPECT_EQ(previews[0].at("image"), "anBlZw==");
  EXPECT_EQ(world.workers.calls, (std::vector<std::string>{"watch " + id, "leave " + id}));
}

TEST_F(WatchSocket, BadMessagesAreAnsweredAndTheSocketStays) {
  Client client;
  const std::string id = world.submit();
  client.socket.incoming = {"{", "{}", fmt::format(R"({{"subscribe": "{}"}})", id)};
  serve({&client}, settle());
  EXPECT_EQ(client.socket.of("error").size(), 2U);
  EXPECT_EQ(client.socket.of("subscribed").size(), 1U);
  EXPECT_EQ(client.socket.closed, 0);
}

TEST_F(WatchSocket, SubscriptionsAreBounded) {
  Client client;
  const auto subscribe_to = [&](size_t jobs) {
    const auto accepted = world.service.submit(std::vector<jobs::NewJob>(jobs));
    for (const auto& job : accepted.value()) {
      client.socket.incoming.push_back(fmt::format(R"({{"subscribe": "{}"}})", job.id));
    }
  };
  subscribe_to(api::native::kMaxSubscriptions);
  subscribe_to(1);
  serve({&client}, pause(milliseconds(300)));
  EXPECT_EQ(client.socket.of("subscribed").size(), api::native::kMaxSubscriptions);
  ASSERT_EQ(client.socket.of("error").size(), 1U);
  EXPECT_EQ(client.socket.of("error")[0].at("code"), "busy");
}

TEST_F(WatchSocket, AClientThatReadsTooSlowlyLosesStepsAndThenItsSocket) {
  Client client;
  const std::string id = world.submit();
  client.socket.incoming.push_back(fmt::format(R"({{"subscribe": "{}"}})", id));
  const auto script = [&]() -> Awaitable<void> {
    co_await settle();
    client.socket.full = true;
    world.progress(id, 1, 2);
    co_await settle();
    EXPECT_EQ(client.socket.closed, 0);
    world.publish(id, jobs::State::kSucceeded);
    co_await settle();
    EXPECT_EQ(client.socket.closed, 1013);
  };
  serve({&client}, script());
}

TEST_F(WatchSocket, NothingIsSentToAClientThatHasGone) {
  Client client;
  const std::string id = world.submit();
  client.socket.incoming.push_back(fmt::format(R"({{"subscribe": "{}"}})", id));
  serve({&client}, settle());
  const size_t before = client.socket.texts.size();
  world.publish(id, jobs::State::kRunning);
  EXPECT_EQ(client.socket.texts.size(), before);
}

}  // namespace
}  // namespace safelight::http
