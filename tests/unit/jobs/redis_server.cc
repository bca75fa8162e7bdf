#include "unit/jobs/redis_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "base/hash.h"

namespace safelight::jobs {
namespace {

constexpr const char* kProgram = "/usr/bin/redis-server";

int free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (fd < 0 || bind(fd, generic, size) != 0 || getsockname(fd, generic, &size) != 0)
    throw std::runtime_error("no free port");
  close(fd);
  return ntohs(address.sin_port);
}

void shell(const std::string& command) {
  if (std::system(command.c_str()) != 0) throw std::runtime_error(command);
}

/// An authority of the test's own, and a certificate for "localhost" that it signed.
void make_certificates(const std::filesystem::path& folder) {
  const std::string at = "cd " + folder.string() + " && openssl ";
  const std::string quiet = " >/dev/null 2>&1";
  for (const std::string name : {"ca", "other"}) {
    shell(at + "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=" +
          name + " -keyout " + name + ".key -out " + name + ".crt" + quiet);
  }
  shell(at + "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost " +
        "-addext subjectAltName=DNS:localhost -keyout server.key -out server.csr" + quiet);
  shell(at + "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 " +
        "-copy_extensions copy -out server.crt" + quiet);
}

}  // namespace

bool RedisServer::installed() { return access(kProgram, X_OK) == 0; }

RedisServer::RedisServer(Setup setup) : setup_(std::move(setup)) {
  std::string name = (std::filesystem::temp_directory_path() / "safelight-redis-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
  folder_ = name;
  if (setup_.tls) make_certificates(folder_);
  port_ = free_port();
  start();
}

RedisServer::~RedisServer() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void RedisServer::start() {
  std::vector<std::string> words{kProgram,         "--bind", "127.0.0.1", "--dir",
                                 folder_.string(), "--save", ""};
  words.insert(words.end(), setup_.settings.begin(), setup_.settings.end());
  const std::string port = std::to_string(port_);
  if (setup_.tls) {
    for (const auto& word : {"--port", "0", "--tls-port", port.c_str(), "--tls-cert-file",
                             "server.crt", "--tls-key-file", "server.key", "--tls-ca-cert-file",
                             "ca.crt", "--tls-auth-clients", "no"})
      words.emplace_back(word);
  } else {
    words.insert(words.end(), {"--port", port});
  }
  if (!setup_.password.empty()) words.insert(words.end(), {"--requirepass", setup_.password});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const std::string log = (folder_ / "log").string();
  process_ = fork();
  if (process_ == 0) {
    const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, 1);
    dup2(fd, 2);
    if (chdir(folder_.c_str()) == 0) execv(argv[0], argv.data());
    _exit(127);
  }
  for (int i = 0; i < 1000; i++) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port_));
    const bool up = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    close(fd);
    if (up) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  throw std::runtime_error("redis-server did not start");
}

void RedisServer::kill() {
  if (process_ <= 0) return;
  signal(SIGKILL);
  waitpid(process_, nullptr, 0);
  process_ = 0;
}

void RedisServer::signal(int number) const { ::kill(process_, number); }

std::string RedisServer::url(const std::string& credentials) const {
  return (setup_.tls ? "rediss://" : "redis://") + credentials +
         (setup_.tls ? "localhost:" : "127.0.0.1:") + std::to_string(port_);
}

RedisOptions RedisServer::options() const {
  RedisOptions options{.url = url(setup_.password.empty() ? "" : ":" + setup_.password + "@")};
  if (setup_.tls) options.ca_file = ca();
  return options;
}

std::unique_ptr<RedisStore> RedisServer::open(const RedisOptions& options) {
  auto store = open_redis_store(options);
  if (!store) throw std::runtime_error(store.error().message);
  return *std::move(store);
}

NewJob small_job(const std::string& owner, int64_t steps) {
  NewJob job;
  job.request.prompt = "a lamp";
  job.request.model = "tiny";
  job.request.width = job.request.height = 1000;
  job.request.steps = steps;
  job.request.seed = 7;
  job.owner = owner;
  job.source = "native";
  return job;
}

FinishedPicture picture_of(const std::string& data, int64_t index) {
  FinishedPicture picture;
  picture.file = {.index = index,
                  .sha256 = sha256(std::as_bytes(std::span(data.data(), data.size()))),
                  .media_type = "image/png",
                  .bytes = data.size(),
                  .width = 8,
                  .height = 8,
                  .seed = 7};
  picture.data = data;
  return picture;
}

}  // namespace safelight::jobs
