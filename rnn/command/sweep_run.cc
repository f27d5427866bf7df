#include "sweep_run.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <exception>
#include <mutex>
#include <new>
#include <numeric>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include "binary.h"
#include "definition.h"
#include "files/checkpoint_file.h"
#include "lockstep/rnn/model.h"
#include "lockstep/rnn/random.h"
#include "lockstep/threads.h"
#include "text.h"
#include "training_data.h"

namespace lockstep::command {
namespace {

std::uint64_t add_names(std::uint64_t hash, const std::vector<std::string>& names) {
  hash = fnv1a(hash, names.size(), sizeof(std::uint64_t));
  for (const std::string& name : names) {
    hash = fnv1a(hash, name.size(), sizeof(std::uint64_t));
    for (const char c : name) hash = fnv1a(hash, static_cast<unsigned char>(c), 1);
  }
  return hash;
}

std::string hash_of(const Dataset& train, const std::optional<Dataset>& test) {
  const Dataset& other = test ? *test : train.subset({});
  std::uint64_t hash = data_hash(train, other);
  for (const Dataset* data : {&train, &other}) {
    hash = add_names(add_names(hash, data->class_names()), data->channel_names());
  }
  return hash_text(hash);
}

std::string measured_on(const Plan& plan, bool has_test) {
  if (plan.folds > 0) return "folds";
  if (has_test) return "test";
  const auto holds_out = [](const GridPoint& point) { return point.options.validation > 0; };
  const auto count = std::ranges::count_if(plan.points, holds_out);
  if (count == 0) return "training";
  if (count == std::ssize(plan.points)) return "validation";
  throw UsageError(
      "validation: without --test or --folds the jobs that hold nothing out would be measured on "
      "what they have learnt");
}

// What a job reads.
struct Parts {
  Dataset learnt;
  std::optional<Dataset> validation;
  Dataset measured;
};

Parts parts_of(const Sweep& sweep, const Job& job, const Options& options) {
  const Dataset& all = job.fold > 0 ? sweep.folds[job.fold - 1].train : sweep.train;
  Parts parts{all, std::nullopt, all};
  if (options.validation > 0) {
    auto [rest, held_out] = split_validation(all, options.validation, options.seed);
    parts = {std::move(rest), held_out, held_out};
  }
  if (job.fold > 0) parts.measured = sweep.folds[job.fold - 1].validation;
  if (sweep.test) parts.measured = *sweep.test;
  return parts;
}

const char* status_text(FitStatus status) {
  return status == FitStatus::finished   ? "finished"
         : status == FitStatus::patience ? "patience"
                                         : "diverged";
}

void add_fit(JobResult& result, const FitResult& fit) {
  result.status = status_text(fit.status);
  result.epochs = fit.history.size();
  result.kept_epoch = fit.kept_epoch;
  result.seconds = fit.seconds();
  result.threads = fit.threads;
}

void add_measures(JobResult& result, const Model& model, const Parts& parts, int threads,
                  const IsInterrupted& is_interrupted) {
  const Evaluation measured = model.evaluate(parts.measured, threads, is_interrupted);
  result.accuracy = measured.accuracy;
  result.rmse = measured.rmse;
  result.mae = measured.mae;
  result.r2 = measured.r2;
  result.loss = measured.loss;
  result.train_loss = model.evaluate(parts.learnt, threads, is_interrupted).loss;
  if (parts.validation) {
    result.validation_loss = model.evaluate(*parts.validation, threads, is_interrupted).loss;
  }
  result.weights_hash = hash_text(model.weights_hash());
}

void train_job(JobResult& result, const Parts& parts, const Options& options,
               const IsInterrupted& is_interrupted) {
  Model model = new_model(parts.learnt, options);
  model.require_fit(parts.measured);  // before it has taken time
  FitObserver observer;
  observer.is_interrupted = is_interrupted;
  const FitResult fit = parts.validation ? model.fit(parts.learnt, *parts.validation, observer)
                                         : model.fit(parts.learnt, observer);
  if (fit.status == FitStatus::stopped) throw Interrupted();
  add_fit(result, fit);
  if (fit.kept_epoch > 0) add_measures(result, model, parts, fit.threads, is_interrupted);
}

// As many as the system grants.
template <class Body>
std::vector<std::jthread> start_threads(int count, const Body& body) {
  std::vector<std::jthread> threads;
  try {
    for (int i = 0; i < count; ++i) threads.emplace_back(body);
  } catch (const std::system_error&) {
    return threads;
  }
  return threads;
}

// Teams do not nest: jobs with several threads each are run by threads that are in none.
template <class Body>
void on_threads(int count, bool are_in_team, const Body& body) {
  if (are_in_team) return parallel(count, [&](const Team&) { body(); });
  const std::vector<std::jthread> others = start_threads(count - 1, body);
  body();
}

// Runs jobs and writes their results until all are done, one has failed to end in a result, or
// work is interrupted.
class Runner {
 public:
  Runner(const Sweep& sweep, const Work& work, ResultsFile& file, std::vector<std::size_t> jobs)
      : sweep_(sweep), work_(work), file_(file), jobs_(std::move(jobs)) {}

  void run() {
    const auto most = static_cast<int>(std::min<std::size_t>(jobs_.size(), kMaxThreads));
    on_threads(std::min(work_.at_a_time, most), work_.threads == 1, [this]() noexcept { serve(); });
    if (failure_ != nullptr) std::rethrow_exception(failure_);
  }

 private:
  [[nodiscard]] bool ends() const {
    return has_failed_ || (work_.is_interrupted && work_.is_interrupted());
  }

  void serve() noexcept {
    try {
      while (!ends()) {
        const std::size_t next = next_.fetch_add(1);
        if (next >= jobs_.size()) return;
        run_one(sweep_.plan.jobs[jobs_[next]]);
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (failure_ == nullptr) failure_ = std::current_exception();
      has_failed_ = true;
    }
  }

  void run_one(const Job& job) {
    const auto result = run_job(sweep_, job, work_.threads, [this] { return ends(); });
    if (!result) return;
    file_.add(*result);
    const std::lock_guard lock(mutex_);
    if (work_.on_result) work_.on_result(job, *result);
  }

  const Sweep& sweep_;
  const Work& work_;
  ResultsFile& file_;
  std::vector<std::size_t> jobs_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> has_failed_{false};
  std::exception_ptr failure_;
  std::mutex mutex_;  // of failure_ and on_result
};

// The rank whose file it is; 0: none's.
int rank_of(const std::string& name, const std::string& first) {
  const std::string begin = first + ".rank";
  if (!name.starts_with(begin)) return 0;
  int rank = 0;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + begin.size(), end, rank);
  return error == std::errc{} && stop == end && rank > 0 ? rank : 0;
}

std::vector<std::filesystem::path> rank_files(const std::filesystem::path& path) {
  std::vector<std::pair<int, std::filesystem::path>> files;
  std::filesystem::path folder = path.parent_path();
  if (folder.empty()) folder = ".";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const int rank = rank_of(entry.path().filename().string(), path.filename().string());
    if (rank > 0) files.emplace_back(rank, entry.path());
  }
  std::ranges::sort(files);
  std::vector<std::filesystem::path> paths;
  paths.reserve(files.size());
  for (auto& [rank, file] : files) paths.push_back(std::move(file));
  return paths;
}

}  // namespace

std::vector<ValidationSplit> make_folds(const Dataset& data, std::size_t count,
                                        std::uint64_t seed) {
  if (count > data.size()) {
    throw UsageError(format("--folds: expected at most as many folds as sequences, %zu, found %zu",
                            data.size(), count));
  }
  std::vector<std::size_t> order(data.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  KeyedRandom(seed, "folds").shuffle(order);
  const bool has_classes = data.target_kind() == TargetKind::label;
  std::vector<std::size_t> places(data.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  std::ranges::sort(places, {}, [&](std::size_t place) {
    return std::pair(has_classes ? data.label(order[place]) : 0, place);
  });
  // Class after class is dealt out.
  std::vector<std::size_t> fold_of(data.size());
  for (std::size_t i = 0; i < places.size(); ++i) fold_of[order[places[i]]] = i % count;
  std::vector<ValidationSplit> folds;
  for (std::size_t fold = 0; fold < count; ++fold) {
    std::vector<std::size_t> rest;
    std::vector<std::size_t> held_out;
    for (std::size_t i = 0; i < data.size(); ++i) {
      (fold_of[i] == fold ? held_out : rest).push_back(i);
    }
    folds.push_back({data.subset(rest), data.subset(held_out)});
  }
  return folds;
}

Sweep make_sweep(Plan plan, Dataset train, std::optional<Dataset> test) {
  SweepIdentity identity{.data_hash = hash_of(train, test),
                         .measured_on = measured_on(plan, test.has_value()),
                         .folds = plan.folds,
                         .rounding = rounding_here(),
                         .bits = kBitsVersion,
                         .base = plan.base};
  std::vector<ValidationSplit> folds;
  if (plan.folds > 0) folds = make_folds(train, plan.folds, plan.base.seed);
  return {std::move(plan), std::move(train), std::move(test), std::move(folds),
          std::move(identity)};
}

std::optional<JobResult> run_job(const Sweep& sweep, const Job& job, int threads,
                                 const IsInterrupted& is_interrupted) {
  Options options = sweep.plan.options_of(job);
  options.threads = threads;
  JobResult result{.settings = sweep.plan.points[job.point].settings,
                   .seed = job.seed,
                   .fold = job.fold,
                   .status = "failed",
                   .threads = threads};
  try {
    train_job(result, parts_of(sweep, job, options), options, is_interrupted);
  } catch (const Interrupted&) {
    return std::nullopt;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::system_error&) {
    throw;
  } catch (const std::exception& error) {
    result.error = error.what();
  }
  return result;
}

std::filesystem::path results_path(const std::filesystem::path& path, const Share& share) {
  if (share.rank == 0) return path;
  return path.string() + ".rank" + std::to_string(share.rank);
}

Results gather_results(const std::filesystem::path& path, const SweepIdentity& sweep) {
  ResultsFile all(path, sweep);
  Results results = all.results();
  for (const std::filesystem::path& file : rank_files(path)) {
    const ResultsFile of_rank(file, sweep);
    for (const auto& [key, result] : of_rank.results()) {
      if (results.emplace(key, result).second) all.add(result);
    }
    std::filesystem::remove(file);
  }
  return results;
}

std::vector<std::size_t> jobs_left(const Sweep& sweep, const Share& share, const Results& done) {
  std::vector<std::size_t> left;
  const auto size = static_cast<std::size_t>(share.size);
  for (auto i = static_cast<std::size_t>(share.rank); i < sweep.plan.jobs.size(); i += size) {
    const Job& job = sweep.plan.jobs[i];
    if (!done.contains(job_key(sweep.plan.options_of(job), job.fold))) left.push_back(i);
  }
  return left;
}

void run_share(const Sweep& sweep, const std::filesystem::path& path, const Work& work) {
  std::vector<std::size_t> left = jobs_left(sweep, work.share, read_results(path, sweep.identity));
  if (left.empty()) return;
  ResultsFile file(results_path(path, work.share), sweep.identity);
  Runner(sweep, work, file, std::move(left)).run();
}

}  // namespace lockstep::command
