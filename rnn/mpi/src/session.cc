// The only source that includes mpi.h.
#include <mpi.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <thread>
#include <vector>

#include "lockstep/rnn/mpi.h"
#include "lockstep/threads.h"

namespace lockstep::mpi {
namespace {

using Clock = std::chrono::steady_clock;

// MPI counts in int.
constexpr std::size_t kMostBytes = std::size_t{1} << 30;
constexpr int kTag = 1;

std::string text_of(int error) {
  std::string text(MPI_MAX_ERROR_STRING, '\0');
  int length = 0;
  MPI_Error_string(error, text.data(), &length);
  text.resize(static_cast<std::size_t>(length));
  return text;
}

void check(int error) {
  if (error != MPI_SUCCESS) throw RanksError("MPI: " + text_of(error));
}

// Waits a little longer each time, so that ranks that share a core let each other run.
class Patience {
 public:
  void wait() {
    const auto waited = Clock::now() - begin_;
    if (waited < std::chrono::microseconds(50)) return;
    if (waited < std::chrono::milliseconds(2)) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(Clock::now() - begin_).count();
  }

 private:
  Clock::time_point begin_ = Clock::now();
};

class MpiRanks : public Ranks {
 public:
  MpiRanks(int rank, int size, MPI_Comm communicator)
      : Ranks(rank, size), communicator_(communicator) {
    char name[MPI_MAX_PROCESSOR_NAME] = {};
    int length = 0;
    check(MPI_Get_processor_name(name, &length));
    hosts_.resize(static_cast<std::size_t>(size) * sizeof name);
    check(MPI_Allgather(name, sizeof name, MPI_CHAR, hosts_.data(), sizeof name, MPI_CHAR,
                        communicator));
  }

  [[nodiscard]] bool is_broken() const { return is_broken_; }

 private:
  void move(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming) override {
    if (is_broken_) throw RanksError("a rank has failed before");
    requests_.clear();
    partners_.clear();
    try {
      for (const Incoming& message : incoming) {
        post(message.from, message.bytes,
             [](auto... arguments) { return MPI_Irecv(arguments...); });
      }
      for (const Outgoing& message : outgoing) {
        post(message.to, message.bytes, [](auto... arguments) { return MPI_Isend(arguments...); });
      }
      finish();
    } catch (...) {
      is_broken_ = true;
      throw;
    }
  }

  // In pieces that MPI can count.
  template <class Byte, class Call>
  void post(int partner, std::span<Byte> bytes, const Call& call) {
    for (std::size_t begin = 0; begin < bytes.size(); begin += kMostBytes) {
      const auto piece = bytes.subspan(begin, std::min(kMostBytes, bytes.size() - begin));
      MPI_Request request = MPI_REQUEST_NULL;
      check(call(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, partner, kTag,
                 communicator_, &request));
      requests_.push_back(request);
      partners_.push_back(partner);
    }
  }

  void finish() {
    Patience patience;
    for (int done = 0;;) {
      check(MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done,
                        MPI_STATUSES_IGNORE));
      if (done != 0) return;
      if (timeout() > 0 && patience.seconds() > timeout()) throw RanksError(missing());
      patience.wait();
    }
  }

  // Who has not done its part.
  [[nodiscard]] std::string missing() {
    int partner = MPI_PROC_NULL;
    for (std::size_t i = 0; i < requests_.size() && partner == MPI_PROC_NULL; ++i) {
      int done = 0;
      MPI_Test(&requests_[i], &done, MPI_STATUS_IGNORE);
      if (done == 0) partner = partners_[i];
    }
    const std::size_t length = hosts_.size() / static_cast<std::size_t>(size());
    const char* host = hosts_.data() + static_cast<std::size_t>(std::max(partner, 0)) * length;
    return "rank " + std::to_string(partner) + " on host '" + host + "' has not answered for " +
           std::to_string(static_cast<long>(timeout())) + " seconds";
  }

  MPI_Comm communicator_;
  std::vector<char> hosts_;  // names, each followed by zeros
  std::vector<MPI_Request> requests_;
  std::vector<int> partners_;
  bool is_broken_ = false;
};

// Ranks that may run on all CPUs of their host have an equal share of them.
void share_cpus(MPI_Comm communicator) {
  MPI_Comm of_host = MPI_COMM_NULL;
  check(MPI_Comm_split_type(communicator, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &of_host));
  int neighbours = 1;
  check(MPI_Comm_size(of_host, &neighbours));
  MPI_Comm_free(&of_host);
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  const bool is_bound = ::sched_getaffinity(0, sizeof allowed, &allowed) == 0 &&
                        CPU_COUNT(&allowed) < ::sysconf(_SC_NPROCESSORS_ONLN);
  if (neighbours == 1 || is_bound || std::getenv("OMP_NUM_THREADS") != nullptr) return;
  set_default_threads(std::max(1, default_threads().count / neighbours));
}

}  // namespace

struct Session::State {
  State() {
    int is_initialized = 0;
    MPI_Initialized(&is_initialized);
    int provided = MPI_THREAD_SINGLE;
    if (is_initialized == 0) {
      check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided));
      owns_mpi = true;
    } else {
      check(MPI_Query_thread(&provided));
    }
    if (provided < MPI_THREAD_FUNNELED) {
      throw RanksError("MPI was initialized for programs without threads");
    }
    check(MPI_Comm_dup(MPI_COMM_WORLD, &communicator));
    MPI_Comm_set_errhandler(communicator, MPI_ERRORS_RETURN);
    int rank = 0;
    int size = 1;
    check(MPI_Comm_rank(communicator, &rank));
    check(MPI_Comm_size(communicator, &size));
    share_cpus(communicator);
    ranks = std::make_unique<MpiRanks>(rank, size, communicator);
  }

  bool owns_mpi = false;
  bool has_ended = false;
  int exceptions = std::uncaught_exceptions();  // on their way when it was made
  MPI_Comm communicator = MPI_COMM_NULL;
  std::unique_ptr<MpiRanks> ranks;
};

Session::Session() : state_(std::make_unique<State>()) {}

Session::~Session() {
  if (!state_->has_ended) {
    if (std::uncaught_exceptions() > state_->exceptions || !end(0)) abort(EXIT_FAILURE);
  }
  MPI_Comm_free(&state_->communicator);
  if (state_->owns_mpi) MPI_Finalize();
}

Ranks& Session::ranks() { return *state_->ranks; }

std::optional<int> Session::end(int code) {
  constexpr double kGrace = 2;
  if (state_->ranks->is_broken()) return std::nullopt;
  int largest = code;
  MPI_Request request = MPI_REQUEST_NULL;
  if (MPI_Iallreduce(&code, &largest, 1, MPI_INT, MPI_MAX, state_->communicator, &request) !=
      MPI_SUCCESS) {
    return std::nullopt;
  }
  Patience patience;
  for (int done = 0;;) {
    if (MPI_Test(&request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) return std::nullopt;
    if (done != 0) break;
    if (code != 0 && patience.seconds() > kGrace) return std::nullopt;
    patience.wait();
  }
  state_->has_ended = true;
  return largest;
}

// MPI may wait for what no longer answers.
void Session::abort(int code) {
  constexpr unsigned kSeconds = 5;
  std::signal(SIGALRM, SIG_DFL);
  ::alarm(kSeconds);
  MPI_Abort(MPI_COMM_WORLD, code);
  std::_Exit(code);
}

std::string Session::library() {
  std::string text(MPI_MAX_LIBRARY_VERSION_STRING, '\0');
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  text.resize(static_cast<std::size_t>(length));
  return text.substr(0, text.find_first_of(",\n\t"));
}

}  // namespace lockstep::mpi
