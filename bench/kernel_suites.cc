#include <algorithm>
#include <functional>
#include <random>

#include "harness.h"
#include "lockstep/threads.h"
#include "machine.h"
#include "oracle.h"
#include "problems.h"
#include "suites.h"

namespace lockstep::bench {
namespace {

std::string dimensions(std::initializer_list<std::size_t> sizes) {
  std::string text;
  for (const std::size_t size : sizes) text += (text.empty() ? "" : "x") + std::to_string(size);
  return text;
}

// Operands of one product in memory of their own.
struct GemmCopy {
  explicit GemmCopy(const GemmProblem& p) : a(p.a), b(p.b), c(p.c) {}
  [[nodiscard]] GemmOperands operands(const GemmProblem& p) {
    return {p.m, p.n, p.k, a.data(), p.lda, b.data(), p.ldb, c.data(), p.n};
  }

  AlignedVector<float> a, b, c;
};

// Enough copies that each has left all caches when its turn comes again, in an order that no
// prefetcher can follow. The first alone is checked; the others run the same code.
std::size_t cold_copies(const GemmProblem& p) {
  const std::size_t bytes = (p.a.size() + p.b.size() + p.m * p.n) * sizeof(float);
  return 2 + 2 * last_level_cache() / bytes;
}

void time_gemm(benchmark::State& state, const Case& c, const GemmShape& shape) {
  const GemmProblem& problem = gemm_problem(shape, c.kernel);
  std::vector<GemmCopy> copies(c.cold ? cold_copies(problem) : 1, GemmCopy(problem));
  std::vector<Task> tasks;
  tasks.reserve(copies.size());
  for (GemmCopy& copy : copies) {
    tasks.push_back(c.contender->gemm(c.kernel, copy.operands(problem), c.threads));
  }
  std::shuffle(tasks.begin() + 1, tasks.end(), std::minstd_rand(1));
  const auto check = [&] { return problem.check(copies.front().c); };
  const auto flops = 2.0 * static_cast<double>(shape.m * shape.n * shape.k);
  const auto bytes =
      4.0 * static_cast<double>(shape.m * shape.k + shape.k * shape.n + shape.m * shape.n);
  verify_and_time(state, c, tasks, check, product_work(c, flops, bytes));
}

void register_gemm(std::span<Contender* const> contenders, const GemmShape& shape, int threads) {
  const Body body = [shape](benchmark::State& s, const Case& c) { time_gemm(s, c, shape); };
  const std::string name = dimensions({shape.m, shape.n, shape.k});
  const std::pair<unsigned, Kernel> layouts[] = {{kPlain, Kernel::gemm},
                                                 {kPacked, Kernel::gemm_packed},
                                                 {kTransposed, Kernel::gemm_tn},
                                                 {kScaled, Kernel::gemm_alpha}};
  for (const auto& [layout, kernel] : layouts) {
    // The first contender is ours: what we have not, peers are not measured in.
    if ((shape.layouts & layout) == 0 || !contenders.front()->offers(kernel, threads)) continue;
    for (Contender* contender : contenders) {
      register_case({kernel, contender, name, threads}, body);
      if ((shape.layouts & kCold) != 0 && threads == 1) {
        register_case({kernel, contender, name, threads, true}, body);
      }
    }
  }
}

// The operands of many products, each one after another; one B where they share it.
struct Batch {
  Batch(Kernel kernel, const BatchShape& s)
      : how(kernel),
        a(random_numbers(s.count * s.m * s.k, 1)),
        b(random_numbers((shares_b() ? 1 : s.count) * s.k * s.n, 2)),
        c(s.count * s.m * s.n),
        operands{{s.m, s.n, s.k, a.data(), s.k, b.data(), shares_b() ? s.k : s.n, c.data(), s.n},
                 s.count,
                 s.m * s.k,
                 shares_b() ? 0 : s.k * s.n,
                 s.m * s.n} {}

  [[nodiscard]] bool shares_b() const { return how == Kernel::gemm_batch_nt; }

  [[nodiscard]] std::string check() const {
    std::vector<float> expected;
    GemmOperands p = operands.first;
    for (std::size_t i = 0; i < operands.count; ++i) {
      for (std::size_t row = 0; row < p.m; ++row) {
        const std::vector<float> product = expected_product_row(how, p, row);
        expected.insert(expected.end(), product.begin(), product.end());
      }
      p.a += operands.stride_a;
      p.b += operands.stride_b;
    }
    return difference(c, expected, kOfLargest);
  }

  Kernel how;
  AlignedVector<float> a, b, c;
  BatchOperands operands;
};

void time_batch(benchmark::State& state, const Case& c, const BatchShape& shape) {
  const Batch batch(c.kernel, shape);
  const Task task = c.contender->gemm_batch(c.kernel, batch.operands, c.threads);
  const auto flops = 2.0 * static_cast<double>(shape.count * shape.m * shape.n * shape.k);
  const auto bytes = 4.0 * static_cast<double>(batch.a.size() + batch.b.size() + batch.c.size());
  verify_and_time(
      state, c, {&task, 1}, [&] { return batch.check(); }, product_work(c, flops, bytes));
}

void register_batch(std::span<Contender* const> contenders, const BatchShape& shape, int threads,
                    std::initializer_list<Kernel> kernels) {
  const Body body = [shape](benchmark::State& s, const Case& c) { time_batch(s, c, shape); };
  const std::string name = dimensions({shape.count, shape.m, shape.n, shape.k});
  for (const Kernel how : kernels) {
    if (!contenders.front()->offers(how, threads)) continue;
    for (Contender* contender : contenders) register_case({how, contender, name, threads}, body);
  }
}

void time_elementwise(benchmark::State& state, const Case& c, std::size_t n) {
  AlignedVector<float> x = random_numbers(n, 3);
  for (float& v : x) v *= 4;
  AlignedVector<float> y(n);
  const Task task = c.contender->elementwise(c.kernel, x.data(), y.data(), n);
  const auto check = [&] { return difference(y, expected_elementwise(c.kernel, x), kOfEach); };
  const auto elements = static_cast<double>(n);
  verify_and_time(state, c, {&task, 1}, check, memory_work(c, 8 * elements, elements));
}

struct Rows {
  explicit Rows(const RowsShape& shape)
      : x(random_numbers(shape.rows * shape.cols, 4)),
        y(x.size()),
        labels(shape.rows),
        losses(shape.rows),
        operands{shape.rows, shape.cols, x.data(), y.data(), labels.data(), losses.data()} {
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int>(i % shape.cols);
  }

  AlignedVector<float> x, y;
  std::vector<int> labels;
  std::vector<double> losses;
  RowsOperands operands;
};

// In one vector, as expected_rows gives them.
std::vector<float> results_of(Kernel kind, const Rows& r) {
  std::vector<float> all(r.y.begin(), r.y.end());
  if (kind == Kernel::loss) all.insert(all.end(), r.losses.begin(), r.losses.end());
  return all;
}

void time_rows(benchmark::State& state, const Case& c, const RowsShape& shape) {
  Rows rows(shape);
  const Task task = c.kernel == Kernel::loss ? c.contender->loss(rows.operands)
                                             : c.contender->softmax(c.kernel, rows.operands);
  const auto check = [&] {
    return difference(results_of(c.kernel, rows), expected_rows(c.kernel, rows.operands),
                      c.kernel == Kernel::softmax ? kOfEach : kOfLargest);
  };
  const auto elements = static_cast<double>(shape.rows * shape.cols);
  verify_and_time(state, c, {&task, 1}, check, memory_work(c, 8 * elements, elements));
}

void time_pack(benchmark::State& state, const Case& c, const RowsShape& shape) {
  const std::size_t k = shape.rows;
  const std::size_t n = shape.cols;
  const AlignedVector<float> b = random_numbers(k * n, 5);
  const PackTask task = c.contender->pack(c.kernel, k, n, b.data());
  const auto check = [&]() -> std::string {
    std::vector<float> found(n);
    std::vector<float> expected(n);
    for (const std::size_t p : {std::size_t{0}, k / 3, k / 2, k - 1}) {
      task.unpack_row(p, found.data());
      for (std::size_t j = 0; j < n; ++j) {
        expected[j] = c.kernel == Kernel::pack_tn ? b[j * k + p] : b[p * n + j];
      }
      if (std::string what = difference(found, expected, {0}); !what.empty()) return what;
    }
    return {};
  };
  const auto elements = static_cast<double>(k * n);
  verify_and_time(state, c, {&task.run, 1}, check, memory_work(c, 8 * elements, elements));
}

// Floats that a step reads and writes of each weight: weight and gradient, and of what the
// optimizer keeps.
double floats_of_update(Kernel optimizer) { return optimizer == Kernel::update_adamw ? 7 : 5; }

void time_update(benchmark::State& state, const Case& c, std::size_t n) {
  AlignedVector<float> weights = random_numbers(n, 6);
  const AlignedVector<float> first = weights;
  const AlignedVector<float> gradient = random_numbers(n, 7);
  const Task task = c.contender->update(c.kernel, {n, weights.data(), gradient.data()});
  const auto check = [&] {
    return difference(weights, expected_update(c.kernel, first, gradient), kOfLargest);
  };
  const auto elements = static_cast<double>(n);
  const double bytes = 4 * floats_of_update(c.kernel) * elements;
  verify_and_time(state, c, {&task, 1}, check, memory_work(c, bytes, elements));
}

// One kernel on each selected shape, serial.
template <class Shapes, class Time>
void register_serial(std::span<Contender* const> contenders, const Selection& selection,
                     const Shapes& shapes, std::initializer_list<Kernel> kernels, Time time) {
  for (const Kernel kernel : kernels) {
    for (const RowsShape& shape : shapes) {
      if (!selection.includes(shape.run)) continue;
      const Body body = [shape, time](benchmark::State& s, const Case& c) { time(s, c, shape); };
      for (Contender* contender : contenders) {
        register_case({kernel, contender, dimensions({shape.rows, shape.cols})}, body);
      }
    }
  }
}

void register_elementwise(std::span<Contender* const> contenders, const Selection& selection) {
  for (const Kernel function : {Kernel::tanh, Kernel::exp, Kernel::sigmoid, Kernel::relu}) {
    for (const ElementwiseSize& size : kElementwiseSizes) {
      if (!selection.includes(size.run)) continue;
      const Body body = [size](benchmark::State& s, const Case& c) {
        time_elementwise(s, c, size.n);
      };
      for (Contender* contender : contenders) {
        register_case({function, contender, std::to_string(size.n)}, body);
      }
    }
  }
}

// The same code on every backend, so of ours the first alone.
void register_updates(std::span<Contender* const> contenders, const Selection& selection) {
  for (const Kernel optimizer :
       {Kernel::update_sgd, Kernel::update_adamw, Kernel::update_rmsprop}) {
    for (const ElementwiseSize& size : kUpdateSizes) {
      if (!selection.includes(size.run)) continue;
      register_case({optimizer, contenders.front(), std::to_string(size.n)},
                    [size](benchmark::State& s, const Case& c) { time_update(s, c, size.n); });
    }
  }
}

}  // namespace

void register_kernel_suites(std::span<Contender* const> contenders, const Selection& selection) {
  for (const int threads : selection.threads) {
    for (const GemmShape& shape : kGemmShapes) {
      if (selection.includes(shape.run)) register_gemm(contenders, shape, threads);
    }
    for (const BatchShape& shape : kBatchShapes) {
      if (!selection.includes(shape.run)) continue;
      register_batch(contenders, shape, threads, {Kernel::gemm_batch, Kernel::gemm_loop});
    }
    for (const BatchShape& shape : kSharedShapes) {
      if (!selection.includes(shape.run)) continue;
      register_batch(contenders, shape, threads, {Kernel::gemm_batch_nt});
    }
  }
  register_elementwise(contenders, selection);
  register_serial(contenders, selection, kSoftmaxShapes, {Kernel::softmax, Kernel::log_softmax},
                  time_rows);
  register_serial(contenders, selection, kLossShapes, {Kernel::loss}, time_rows);
  register_serial(contenders, selection, kPackShapes, {Kernel::pack, Kernel::pack_tn}, time_pack);
  register_updates(contenders, selection);
}

namespace {

void register_limit(const std::string& contender, const std::string& shape, int threads,
                    const std::function<void(benchmark::State&)>& run) {
  const std::string name = "machine/" + contender + "/" + shape + "/" + std::to_string(threads);
  benchmark::RegisterBenchmark(name.c_str(), run)->UseRealTime()->Unit(benchmark::kMicrosecond);
}

void count_limit(benchmark::State& state, const char* rate, double done, double limit) {
  state.counters[rate] = {done, benchmark::Counter::kIsIterationInvariantRate};
  state.counters["of_peak"] = {done / limit, benchmark::Counter::kIsIterationInvariantRate};
}

void time_fma(benchmark::State& state, std::size_t lanes, int threads) {
  constexpr std::size_t kRounds = 1 << 16;
  const double flops = run_fma_chains(lanes, kRounds) * threads;
  for (auto _ : state) {
    parallel(threads, [&](const Team&) { run_fma_chains(lanes, kRounds); });
  }
  count_limit(state, "flops_per_second", flops, peak_flops(lanes, threads));
}

void time_copy(benchmark::State& state, std::size_t working_set, int threads) {
  CopyLoop copy(working_set, threads);
  const double bytes = copy.run(0) * threads;
  for (auto _ : state) {
    parallel(threads, [&](const Team& team) { copy.run(team.index()); });
  }
  count_limit(state, "bytes_per_second", bytes, copy_bandwidth(working_set, threads));
}

}  // namespace

void register_machine_suite(const Selection& selection) {
  for (const int threads : selection.threads) {
    for (std::size_t lanes = 4; lanes <= widest_lanes(); lanes *= 2) {
      register_limit("fma_" + std::to_string(32 * lanes), "-", threads,
                     [=](benchmark::State& state) { time_fma(state, lanes, threads); });
    }
    for (const std::size_t set : copy_working_sets(threads)) {
      register_limit("copy", std::to_string(set), threads,
                     [=](benchmark::State& state) { time_copy(state, set, threads); });
    }
  }
}

}  // namespace lockstep::bench
