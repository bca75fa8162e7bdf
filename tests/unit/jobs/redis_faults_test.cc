// The Redis store when things go wrong: restarts, silence, crashes, wrong settings, TLS, nonsense.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "jobs/redis_jobs.h"
#include "jobs/redis_store.h"
#include "unit/jobs/redis_server.h"

namespace safelight::jobs {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class RedisFaults : public testing::Test {
 protected:
  void SetUp() override {
    if (!RedisServer::installed()) GTEST_SKIP() << "/usr/bin/redis-server is not installed";
  }
};

std::string open_error(const RedisOptions& options) {
  const auto store = open_redis_store(options);
  return store ? "opened" : store.error().message;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(RedisFaults, NothingAcceptedIsLostWhenTheServerIsKilled) {
  RedisServer server;
  const auto store = server.open();
  std::atomic<bool> stop = false;
  std::mutex mutex;
  std::vector<std::string> accepted;
  std::vector<std::jthread> fronts;
  for (int i = 0; i < 3; i++) {
    fronts.emplace_back([&] {
      while (!stop) {
        const auto ids = store->submit({small_job()});
        const std::lock_guard lock(mutex);
        if (ids) accepted.push_back(ids->at(0).id);
      }
    });
  }
  for (int round = 0; round < 5; round++) {
    std::this_thread::sleep_for(milliseconds(60 + 17 * round));
    server.kill();
    server.start();
  }
  std::this_thread::sleep_for(milliseconds(200));
  stop = true;
  fronts.clear();
  EXPECT_GT(accepted.size(), 20U);
  for (const std::string& id : accepted) {
    EXPECT_TRUE(store->find(id)) << id;
  }
  // What was accepted is all there is: a submission that was sent twice is one job.
  EXPECT_EQ(store->counts()->jobs.at(State::kQueued), static_cast<int64_t>(accepted.size()));
}

TEST_F(RedisFaults, WorkGoesOnOverRestarts) {
  RedisServer server;
  const auto store = server.open();
  constexpr size_t kJobs = 60;
  ASSERT_TRUE(store->submit(std::vector<NewJob>(kJobs, small_job())));
  std::vector<std::jthread> workers;
  std::atomic<size_t> commits = 0;
  for (int i = 0; i < 3; i++) {
    workers.emplace_back([&, i] {
      while (commits < kJobs) {
        const auto got = store->claim({.worker = "w" + std::to_string(i), .lease_ms = 60'000});
        if (!got || !*got) continue;
        std::this_thread::sleep_for(milliseconds(10));
        const auto done = store->finish((*got)->lease, {.pictures = {picture_of((*got)->job.id)}});
        if (done && *done) commits++;
      }
    });
  }
  for (int round = 0; round < 3; round++) {
    std::this_thread::sleep_for(milliseconds(50));
    server.kill();
    std::this_thread::sleep_for(milliseconds(100));
    server.start();
  }
  workers.clear();
  const auto jobs = store->list({.limit = 100});
  ASSERT_TRUE(jobs);
  ASSERT_EQ(jobs->size(), kJobs);
  for (const Job& job : *jobs) {
    EXPECT_EQ(job.state, State::kSucceeded);
    EXPECT_EQ(job.attempt, 1);
    EXPECT_EQ(*store->read_result(job.id, 0), job.id);
  }
}

TEST_F(RedisFaults, ASilentServerIsAnErrorInTimeAndWorksAgain) {
  RedisServer server;
  RedisOptions options = server.options();
  options.answer_ms = 300;
  options.retry_ms = 200;
  const auto store = RedisServer::open(options);
  const std::string id = store->submit({small_job()})->at(0).id;
  server.signal(SIGSTOP);
  const auto start = steady_clock::now();
  const auto silent = store->find(id);
  EXPECT_LT(steady_clock::now() - start, milliseconds(2500));
  server.signal(SIGCONT);
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(has(silent.error().message, "did not answer")) << silent.error().message;
  EXPECT_TRUE(store->find(id));
}

TEST_F(RedisFaults, AServerThatIsGoneIsAnErrorAtOnceAfterAWhile) {
  RedisServer server;
  RedisOptions options = server.options();
  options.retry_ms = 200;
  const auto store = RedisServer::open(options);
  server.kill();
  const auto gone = store->counts();
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(has(gone.error().message, "Is redis-server running there")) << gone.error().message;
  const auto start = steady_clock::now();
  EXPECT_FALSE(store->counts());
  EXPECT_LT(steady_clock::now() - start, milliseconds(100));
  server.start();
  bool works = false;  // it reads its data first
  for (int i = 0; i < 500 && !works; i++) {
    works = store->counts().ok();
    if (!works) std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_TRUE(works);
}

TEST_F(RedisFaults, ServersThatWouldLoseJobsAreRefused) {
  struct Case {
    std::vector<std::string> settings;
    std::string says;
    bool weak_opens;
  };
  const Case cases[] = {
      {{"--appendonly", "no"}, "'appendonly' is 'no'", true},
      {{"--appendonly", "yes", "--appendfsync", "everysec"}, "'appendfsync' is 'everysec'", true},
      {{"--appendonly", "yes", "--appendfsync", "no"}, "'appendfsync' is 'no'", true},
      {{"--appendonly", "yes", "--appendfsync", "always", "--maxmemory", "1gb",
        "--maxmemory-policy", "allkeys-lru"},
       "'allkeys-lru'",
       false},
      {{"--appendonly", "yes", "--appendfsync", "always", "--rename-command", "CONFIG", "HIDDEN"},
       "cannot be asked",
       true},
  };
  for (const Case& which : cases) {
    const RedisServer server({.settings = which.settings});
    RedisOptions options = server.options();
    EXPECT_TRUE(has(open_error(options), which.says)) << open_error(options);
    options.allow_weak_durability = true;
    EXPECT_EQ(open_error(options) == "opened", which.weak_opens) << open_error(options);
  }
}

TEST_F(RedisFaults, AFullServerSaysSo) {
  const RedisServer server(
      {.settings = {"--appendonly", "yes", "--appendfsync", "always", "--maxmemory", "3mb"}});
  const auto store = server.open();
  NewJob big = small_job();
  big.request.prompt.assign(size_t{1} << 19, 'x');
  Result<std::vector<Accepted>> last = std::vector<Accepted>();
  for (int i = 0; i < 20 && last; i++) last = store->submit({big});
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(has(last.error().message, "it is full")) << last.error().message;
}

TEST_F(RedisFaults, PasswordsWorkAndStaySecret) {
  RedisServer server({.password = "s3cret/word"});
  RedisOptions options = server.options();
  options.url = server.url(":s3cret%2Fword@");
  EXPECT_EQ(open_error(options), "opened");
  options.url = server.url();
  EXPECT_TRUE(has(open_error(options), "give user and password")) << open_error(options);
  options.url = server.url("me:wr0ng@");
  EXPECT_TRUE(has(open_error(options), "WRONGPASS")) << open_error(options);
  EXPECT_FALSE(has(open_error(options), "wr0ng"));

  // The rights that docs/scaling.md asks for are enough.
  options.url = server.url(":s3cret%2Fword@");
  const auto admin = RedisServer::open(options);
  ASSERT_TRUE(admin->pool().call({"ACL", "SETUSER", "me", "on", ">own", "~safelight:*",
                                  "&safelight:*", "+@all", "-@dangerous", "+info", "+config|get"}));
  options.url = server.url("me:own@");
  ASSERT_EQ(open_error(options), "opened");
  const auto store = RedisServer::open(options);
  EXPECT_TRUE(store->submit({small_job()}));
  const auto claim = store->claim({.worker = "w"});
  ASSERT_TRUE(claim && *claim);
  EXPECT_TRUE(store->finish((*claim)->lease, {.pictures = {picture_of("p")}}));
  EXPECT_TRUE(store->sweep());

  options.url = server.url("me:wr0ng@");
  server.kill();
  options.retry_ms = 50;
  EXPECT_FALSE(has(open_error(options), "wr0ng")) << open_error(options);
}

TEST_F(RedisFaults, TlsIsVerified) {
  const RedisServer server({.tls = true});
  RedisOptions options = server.options();
  options.retry_ms = 50;
  EXPECT_EQ(open_error(options), "opened");
  EXPECT_TRUE(RedisServer::open(options)->submit({small_job()}));

  RedisOptions wrong = options;
  wrong.ca_file = (server.folder() / "other.crt").string();
  EXPECT_TRUE(has(open_error(wrong), "TLS")) << open_error(wrong);
  wrong.ca_file.clear();
  EXPECT_TRUE(has(open_error(wrong), "TLS")) << "the system does not know that authority";
  wrong.ca_file = (server.folder() / "missing.crt").string();
  EXPECT_TRUE(has(open_error(wrong), "missing.crt")) << open_error(wrong);
  wrong = options;
  wrong.url = "rediss://127.0.0.1:" + std::to_string(server.port());
  EXPECT_TRUE(has(open_error(wrong), "TLS")) << "the certificate is for localhost";
  wrong.verify = false;
  EXPECT_EQ(open_error(wrong), "opened");
  wrong = options;
  wrong.url = "redis://localhost:" + std::to_string(server.port());
  EXPECT_NE(open_error(wrong), "opened");
}

TEST(RedisUrl, IsParsed) {
  const auto full = parse_redis_url("rediss://me:p%40ss@[::1]:7000/3");
  ASSERT_TRUE(full) << full.error().message;
  EXPECT_TRUE(full->tls);
  EXPECT_EQ(full->host, "::1");
  EXPECT_EQ(full->port, 7000);
  EXPECT_EQ(full->user, "me");
  EXPECT_EQ(full->password, "p@ss");
  EXPECT_EQ(full->database, 3);
  EXPECT_EQ(full->label(), "rediss://[::1]:7000/3");
  const auto short_one = parse_redis_url("redis://box");
  ASSERT_TRUE(short_one);
  EXPECT_FALSE(short_one->tls);
  EXPECT_EQ(short_one->port, 6379);
}

TEST(RedisUrl, WrongOnesAreExplainedWithoutThePassword) {
  for (const std::string url :
       {"", "box:6379", "http://a:hidden@box", "redis://", "redis://a:hidden@box:99999",
        "redis://a:hidden@box/x", "redis://a:hidden@box/1?x=1", "redis://a:hid den@box",
        "a:hidden@box", "redis://box:0", "redis://user@box", "redis://:hidden@b ox@c"}) {
    const auto parsed = parse_redis_url(url);
    ASSERT_FALSE(parsed) << url;
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidArgument);
    EXPECT_TRUE(has(parsed.error().message, "expected redis://")) << parsed.error().message;
    EXPECT_FALSE(has(parsed.error().message, "hid")) << parsed.error().message;
  }
  EXPECT_FALSE(parse_redis_url("redis://" + std::string(10'000, 'a')));
}

/// A server that gives every command the same answer.
class Liar {
 public:
  explicit Liar(std::string answer) : answer_(std::move(answer)) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener_, generic, size), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    getsockname(listener_, generic, &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this] { serve(); });
  }
  ~Liar() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  int port() const { return port_; }

 private:
  void serve() {
    for (int fd = accept(listener_, nullptr, nullptr); fd >= 0;
         fd = accept(listener_, nullptr, nullptr)) {
      char bytes[1 << 16];
      bool first = true;  // the greeting goes well
      while (recv(fd, bytes, sizeof bytes, 0) > 0) {
        const std::string& text = first ? greeting_ : answer_;
        first = false;
        if (send(fd, text.data(), text.size(), MSG_NOSIGNAL) < 0) break;
      }
      close(fd);
    }
  }

  std::string answer_;
  const std::string greeting_ = "+PONG\r\n";
  int listener_ = -1, port_ = 0;
  std::jthread thread_;
};

TEST(RedisNonsense, NeverDoesMoreThanFail) {
  for (const std::string answer :
       {"+OK\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "*0\r\n",
        ":5\r\n",
        "*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
        "*1\r\n*-1\r\n",
        "*3\r\n:1\r\n:2\r\n:3\r\n",
        "%1\r\n+a\r\n+b\r\n",
        ",1.5\r\n",
        "_\r\n",
        "#t\r\n",
        "~1\r\n:1\r\n",
        "-ERR no\r\n",
        "-\r\n",
        "garbage\r\n",
        "$999999999999\r\n",
        "*2\r\n$5\r\nstate\r\n$3\r\nodd\r\n",
        "*2\r\n$5\r\nstate\r\n$6\r\nqueued\r\n",
        "*4\r\n$5\r\nstate\r\n$6\r\nqueued\r\n$5\r\nasked\r\n$2\r\n[]\r\n",
        "*1\r\n$1\r\n0\r\n"}) {
    const Liar liar(answer);
    auto pool = RedisPool::make(
        {.target = {.host = "127.0.0.1", .port = liar.port()}, .connect_ms = 200, .answer_ms = 100},
        1, 0);
    ASSERT_TRUE(pool);
    RedisStore store(*pool, {});
    EXPECT_FALSE(store.submit({small_job()})) << answer;
    EXPECT_FALSE(store.find("x")) << answer;
    EXPECT_FALSE(store.counts()) << answer;
    EXPECT_FALSE(store.usage("x", 0)) << answer;
    EXPECT_FALSE(store.cancel("x", CancelMode::kDrop)) << answer;
    EXPECT_FALSE(store.read_result("x", 0)) << answer;
    // Some of these answers mean something to the others: what matters is that they return.
    const Lease lease{.job = "x", .attempt = 1, .worker = "w"};
    EXPECT_TRUE(store.claim({.worker = "w"}).ok() <= true);
    EXPECT_TRUE(store.list({}).ok() <= true);
    EXPECT_TRUE(store.events("x").ok() <= true);
    EXPECT_TRUE(store.order(5).ok() <= true);
    EXPECT_TRUE(store.sweep().ok() <= true);
    EXPECT_TRUE(store.renew(lease, 1).ok() <= true);
    EXPECT_TRUE(store.finish(lease, {}).ok() <= true);
    EXPECT_TRUE(store.give_back(lease, true, "").ok() <= true);
    EXPECT_FALSE(open_redis_store({.url = "redis://127.0.0.1:" + std::to_string(liar.port()),
                                   .answer_ms = 100,
                                   .retry_ms = 0}))
        << answer;
  }
}

TEST(RedisNonsense, LinesOfALog) {
  EXPECT_EQ(event_from_line("12 queued ", 1)->type, "queued");
  EXPECT_EQ(event_from_line("12 requeued it died", 1)->detail, "it died");
  for (const char* line : {"", " ", "12", "12 queued", "x queued ", "1x queued y"}) {
    EXPECT_FALSE(event_from_line(line, 1)) << line;
  }
}

}  // namespace
}  // namespace safelight::jobs
