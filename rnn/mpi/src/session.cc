// The only source that includes mpi.h.
#include <mpi.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <thread>
#include <utility>
#include <vector>

#include "lockstep/rnn/mpi.h"
#include "lockstep/threads.h"

namespace lockstep::mpi {
namespace {

using Clock = std::chrono::steady_clock;

// MPI counts in int.
constexpr std::size_t kMostBytes = std::size_t{1} << 30;
// Tags: messages are numbered, those about silent ranks are apart.
constexpr int kNumbers = 16384;
constexpr int kBlame = kNumbers;

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
      std::this_thread::sleep_for(kPause);
    }
  }
  // Where nobody waits: that does not count.
  void wait_unawaited() {
    std::this_thread::sleep_for(kPause);
    begin_ = Clock::now();
  }
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(Clock::now() - begin_).count();
  }

 private:
  static constexpr std::chrono::microseconds kPause{50};

  Clock::time_point begin_ = Clock::now();
};

// Bytes on their way to or from another rank.
struct Transfer {
  int partner;
  int bytes;
  bool is_incoming;
};

class MpiRanks : public Ranks {
 public:
  MpiRanks(int rank, int size, MPI_Comm communicator, bool serves_any_thread)
      : Ranks(rank, size, serves_any_thread),
        communicator_(communicator),
        sent_to_(static_cast<std::size_t>(size)),
        received_from_(static_cast<std::size_t>(size)) {
    char name[MPI_MAX_PROCESSOR_NAME] = {};
    int length = 0;
    check(MPI_Get_processor_name(name, &length));
    hosts_.resize(static_cast<std::size_t>(size) * sizeof name);
    check(MPI_Allgather(name, sizeof name, MPI_CHAR, hosts_.data(), sizeof name, MPI_CHAR,
                        communicator));
  }

  [[nodiscard]] bool is_broken() const { return failure_ != nullptr; }

 private:
  void move(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming) override {
    if (is_broken()) std::rethrow_exception(failure_);
    requests_.clear();
    transfers_.clear();
    try {
      for (const Incoming& message : incoming) {
        post(message.from, message.bytes, true, received_from_,
             [](auto... arguments) { return MPI_Irecv(arguments...); });
      }
      for (const Outgoing& message : outgoing) {
        post(message.to, message.bytes, false, sent_to_,
             [](auto... arguments) { return MPI_Isend(arguments...); });
      }
      finish();
    } catch (...) {
      failure_ = std::current_exception();
      abandon();
      throw;
    }
  }

  // In pieces that MPI can count, each with the number that it has between the two ranks.
  template <class Byte, class Call>
  void post(int partner, std::span<Byte> bytes, bool is_incoming, std::vector<int>& numbers,
            const Call& call) {
    for (std::size_t begin = 0; begin < bytes.size(); begin += kMostBytes) {
      const auto piece = bytes.subspan(begin, std::min(kMostBytes, bytes.size() - begin));
      int& number = numbers[static_cast<std::size_t>(partner)];
      MPI_Request request = MPI_REQUEST_NULL;
      const auto size = static_cast<int>(piece.size());
      check(call(piece.data(), size, MPI_BYTE, partner, number, communicator_, &request));
      number = (number + 1) % kNumbers;
      requests_.push_back(request);
      transfers_.push_back({partner, size, is_incoming});
    }
  }

  void finish() {
    statuses_.resize(requests_.size());
    Patience patience;
    for (int done = 0; done == 0; is_awaited() ? patience.wait() : patience.wait_unawaited()) {
      const int error = MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done,
                                    statuses_.data());
      if (error != MPI_SUCCESS) throw RanksError(failed(error));
      if (done == 0 && timeout() > 0 && patience.seconds() > timeout()) {
        throw RanksError(name_of(silent_rank()) + " has not answered for " +
                         std::to_string(static_cast<long>(timeout())) + " seconds");
      }
    }
    for (std::size_t i = 0; i < transfers_.size(); ++i) {
      int bytes = 0;
      MPI_Get_count(&statuses_[i], MPI_BYTE, &bytes);
      if (!transfers_[i].is_incoming || bytes == transfers_[i].bytes) continue;
      throw RanksError(name_of(transfers_[i].partner) + " has sent a message of another size");
    }
  }

  // MPI must not write into memory that is used for other things later.
  void abandon() {
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      if (requests_[i] == MPI_REQUEST_NULL) continue;
      if (transfers_[i].is_incoming) {
        MPI_Cancel(&requests_[i]);
        Patience patience;
        for (int done = 0; done == 0 && patience.seconds() < 0.1; patience.wait()) {
          MPI_Test(&requests_[i], &done, MPI_STATUS_IGNORE);
        }
      } else {
        MPI_Request_free(&requests_[i]);
      }
    }
  }

  [[nodiscard]] std::string name_of(int rank) const {
    const std::size_t length = hosts_.size() / static_cast<std::size_t>(size());
    return "rank " + std::to_string(rank) + " on host '" +
           (hosts_.data() + static_cast<std::size_t>(rank) * length) + "'";
  }

  [[nodiscard]] std::string failed(int error) const {
    for (std::size_t i = 0; error == MPI_ERR_IN_STATUS && i < transfers_.size(); ++i) {
      const int own = statuses_[i].MPI_ERROR;
      if (own == MPI_SUCCESS || own == MPI_ERR_PENDING) continue;
      return name_of(transfers_[i].partner) + ": MPI: " + text_of(own);
    }
    return "MPI: " + text_of(error);
  }

  // The rank that this one waits for.
  [[nodiscard]] int awaited() {
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      int done = 0;
      if (requests_[i] == MPI_REQUEST_NULL) continue;
      MPI_Request_get_status(requests_[i], &done, MPI_STATUS_IGNORE);
      if (done == 0) return transfers_[i].partner;
    }
    return transfers_.front().partner;
  }

  // Ranks that time out send each other the number of the rank they wait for; the one that sends
  // nothing is to blame.
  [[nodiscard]] int silent_rank() {
    int own = awaited();
    for (int rank = 0; rank < size(); ++rank) {
      MPI_Request request = MPI_REQUEST_NULL;
      if (rank == this->rank()) continue;
      MPI_Isend(&own, 1, MPI_INT, rank, kBlame, communicator_, &request);
      blames_.push_back(request);
    }
    std::vector<int> awaited_by(static_cast<std::size_t>(size()), MPI_PROC_NULL);
    for (Patience patience; patience.seconds() < 1; patience.wait()) {
      int has_come = 0;
      MPI_Status status;
      MPI_Iprobe(MPI_ANY_SOURCE, kBlame, communicator_, &has_come, &status);
      if (has_come == 0) continue;
      const int from = status.MPI_SOURCE;
      MPI_Recv(&awaited_by[static_cast<std::size_t>(from)], 1, MPI_INT, from, kBlame, communicator_,
               MPI_STATUS_IGNORE);
    }
    int blamed = own;
    for (int steps = 0; steps < size(); ++steps) {
      const int next = awaited_by[static_cast<std::size_t>(blamed)];
      if (next == MPI_PROC_NULL || next == this->rank()) return blamed;
      blamed = next;
    }
    return blamed;
  }

  MPI_Comm communicator_;
  std::vector<char> hosts_;  // names, each followed by zeros
  std::vector<int> sent_to_;
  std::vector<int> received_from_;
  std::vector<MPI_Request> requests_;
  std::vector<MPI_Status> statuses_;
  std::vector<Transfer> transfers_;
  std::vector<MPI_Request> blames_;
  std::exception_ptr failure_;  // the first one, of which all later ones are consequences
};

// Ranks that may run on the same CPUs of their host have an equal share of them.
void share_cpus(MPI_Comm communicator) {
  MPI_Comm of_host = MPI_COMM_NULL;
  check(MPI_Comm_split_type(communicator, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &of_host));
  int neighbours = 1;
  check(MPI_Comm_size(of_host, &neighbours));
  cpu_set_t own;
  CPU_ZERO(&own);
  ::sched_getaffinity(0, sizeof own, &own);
  std::vector<cpu_set_t> all(static_cast<std::size_t>(neighbours));
  check(MPI_Allgather(&own, sizeof own, MPI_BYTE, all.data(), sizeof own, MPI_BYTE, of_host));
  MPI_Comm_free(&of_host);
  if (std::getenv("OMP_NUM_THREADS") != nullptr) return;
  const auto meets_own = [&own](const cpu_set_t& other) {
    cpu_set_t both;
    CPU_AND(&both, &own, &other);
    return CPU_COUNT(&both) > 0;
  };
  const auto sharing = static_cast<int>(std::ranges::count_if(all, meets_own));
  if (sharing > 1) set_default_threads(std::max(1, default_threads().count / sharing));
}

// Seconds that a rank with bad news waits for others, and that MPI has to end.
constexpr double kGrace = 2;
constexpr int kFinalizeSeconds = 10;

std::atomic<int> g_code_at_alarm = EXIT_SUCCESS;

// Some versions of MPICH do not come back from it where ranks are on several hosts. All ranks have
// agreed to end, and what they wrote is written.
void finalize(int code) {
  g_code_at_alarm = code;
  std::fflush(nullptr);
  const auto before = std::signal(SIGALRM, [](int) { ::_exit(g_code_at_alarm); });
  ::alarm(kFinalizeSeconds);
  MPI_Finalize();
  ::alarm(0);
  std::signal(SIGALRM, before);
}

// A launcher of another MPI starts processes that do not know of each other. The first variable is
// that of the launcher: below mpirun those of Slurm count the daemons of Open MPI.
void require_right_launcher(int size) {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    const char* const text = std::getenv(name);
    if (text == nullptr) continue;
    if (size > 1 || std::atoi(text) <= 1) return;
    throw RanksError(std::string("a launcher has started ") + text +
                     " processes, but this one is alone for its own MPI, " + Session::library() +
                     ": start it with the mpirun of that one, or with srun --mpi=pmix or pmi2");
  }
}

}  // namespace

struct Session::State {
  State() {
    int is_initialized = 0;
    MPI_Initialized(&is_initialized);
    int provided = MPI_THREAD_SINGLE;
    if (is_initialized == 0) {
      check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided));
      owns_mpi = true;
      MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
      MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
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
    require_right_launcher(size);
    share_cpus(communicator);
    ranks = std::make_unique<MpiRanks>(rank, size, communicator, provided >= MPI_THREAD_SERIALIZED);
  }

  bool owns_mpi = false;
  bool has_ended = false;
  int exceptions = std::uncaught_exceptions();  // on their way when it was made
  MPI_Comm communicator = MPI_COMM_NULL;
  std::unique_ptr<MpiRanks> ranks;
  std::vector<int> codes;
  int code = EXIT_SUCCESS;
};

Session::Session() : state_(std::make_unique<State>()) {}

Session::~Session() {
  if (!state_->has_ended) {
    const bool fails = std::uncaught_exceptions() > state_->exceptions;
    if (!end(fails ? EXIT_FAILURE : EXIT_SUCCESS)) abort(EXIT_FAILURE);
  }
  MPI_Comm_free(&state_->communicator);
  if (state_->owns_mpi) finalize(state_->code);
}

Ranks& Session::ranks() { return *state_->ranks; }

std::optional<int> Session::end(int code, double seconds) {
  if (state_->ranks->is_broken()) return std::nullopt;
  const double most = seconds >= 0 ? seconds : code == 0 ? state_->ranks->timeout() : kGrace;
  std::vector<int> codes(static_cast<std::size_t>(state_->ranks->size()));
  MPI_Request request = MPI_REQUEST_NULL;
  if (MPI_Iallgather(&code, 1, MPI_INT, codes.data(), 1, MPI_INT, state_->communicator, &request) !=
      MPI_SUCCESS) {
    return std::nullopt;
  }
  Patience patience;
  for (int done = 0; done == 0; patience.wait()) {
    if (MPI_Test(&request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) return std::nullopt;
    if (done == 0 && most > 0 && patience.seconds() > most) {
      state_->codes = std::move(codes);  // MPI may still write there
      return std::nullopt;
    }
  }
  state_->has_ended = true;
  state_->code = codes[0] != 0 ? codes[0] : code;
  return state_->code;
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
  text.resize(std::min(static_cast<std::size_t>(length), text.find_first_of(",\n")));
  std::ranges::replace(text, '\t', ' ');
  return text;
}

}  // namespace lockstep::mpi
