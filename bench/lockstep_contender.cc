#include "lockstep_contender.h"

#include <numeric>
#include <stdexcept>

#include "lockstep/elementwise.h"
#include "lockstep/gemm.h"
#include "lockstep/rnn/builtin_data.h"
#include "lockstep/rnn/predict.h"
#include "lockstep/rnn/random.h"
#include "lockstep/rnn/trainer.h"
#include "lockstep/softmax.h"
#include "lockstep/threads.h"
#include "lockstep/version.h"
#include "optimizers/optimizer.h"
#include "problems.h"
#include "train/training_step.h"

namespace lockstep::bench {
namespace {

// A minibatch that has gone forward and goes back again and again.
struct BackwardPass {
  BackwardPass(const RnnProblem& p, int threads)
      : parameters(p.parameters),
        data(p.data),
        step(p.parameters.network(), MinibatchSize{.rows = p.data.size(),
                                                   .steps = p.data.max_length(),
                                                   .window_timesteps = p.timesteps}) {
    std::vector<std::size_t> all(p.data.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    step->begin(p.data, all);
    team_size = step->team_size(threads);
    parallel(team_size, [&](const Team& team) noexcept {
      const FlushDenormals flush;
      step->forward(p.parameters, p.data, team);
    });
  }
  void run() {
    parallel(team_size, [&](const Team& team) noexcept {
      const FlushDenormals flush;
      step->backward(data, team);
    });
  }

  const Parameters& parameters;
  const Dataset& data;
  WithMemory<TrainingStep> step;
  int team_size = 1;
};

// Trains parameters of its own on the minibatch of the problem.
struct Training {
  Training(const RnnProblem& p, int threads)
      : data(p.data),
        parameters(p.parameters),
        trainer(parameters, {.batch_size = p.shape.n,
                             .learning_rate = p.learning_rate,
                             .schedule = LearningRateSchedule::constant,
                             .optimizer = "sgd",
                             .momentum = 0,
                             .clip_norm = p.clip_norm,
                             .shuffle = false,
                             .threads = threads}) {}

  const Dataset& data;
  Parameters parameters;
  Trainer trainer;
};

RnnTask forward_task(const RnnProblem& p, int threads) {
  const auto probabilities = std::make_shared<std::vector<float>>();
  return {[&p, threads, probabilities] {
            *probabilities = predict_proba(p.parameters, p.data, threads);
          },
          [probabilities] {
            RnnResults results;
            results.probabilities = *probabilities;
            return results;
          }};
}

RnnTask backward_task(const RnnProblem& p, int threads) {
  const auto pass = std::make_shared<BackwardPass>(p, threads);
  return {[pass] { pass->run(); },
          [pass] {
            RnnResults results;
            results.gradient = recurrent_part(pass->step->gradient(), pass->parameters);
            return results;
          }};
}

RnnTask training_task(const RnnProblem& p, int threads) {
  const auto training = std::make_shared<Training>(p, threads);
  return {[training] { training->trainer.run_epoch(training->data); },
          [training] {
            RnnResults results;
            results.updated = recurrent_part(training->parameters.values(), training->parameters);
            return results;
          }};
}

[[noreturn]] void refuse() { throw std::invalid_argument("Lockstep has no such kernel"); }

// Every task runs on the backend that is active when it is prepared: a benchmark prepares its tasks
// directly before it times them.
class LockstepContender : public Contender {
 public:
  explicit LockstepContender(const BackendInfo& backend) : backend_(backend) {}

  [[nodiscard]] std::string name() const override { return std::string(backend_.name); }
  [[nodiscard]] std::string about() const override { return LOCKSTEP_VERSION; }
  [[nodiscard]] std::size_t lanes() const override { return backend_.lanes; }
  [[nodiscard]] bool offers(Kernel kernel, int threads) const override {
    switch (kernel) {
      case Kernel::gemm:
      case Kernel::gemm_alpha:
      case Kernel::gemm_batch:
      case Kernel::gemm_batch_nt:
      case Kernel::rnn_forward:
      case Kernel::rnn_backward:
      case Kernel::rnn_train:
      case Kernel::rnn_fit:
        return true;
      case Kernel::gemm_packed:
      case Kernel::gemm_tn:
      case Kernel::gemm_loop:
      case Kernel::tanh:
      case Kernel::exp:
      case Kernel::sigmoid:
      case Kernel::relu:
      case Kernel::softmax:
      case Kernel::log_softmax:
      case Kernel::loss:
      case Kernel::pack:
      case Kernel::pack_tn:
      case Kernel::update_sgd:
      case Kernel::update_adamw:
      case Kernel::update_rmsprop:
        return threads == 1;
    }
    return false;
  }

  Task gemm(Kernel layout, const GemmOperands& o, int threads) override {
    set_backend(backend_.name);
    if (layout == Kernel::gemm_tn) {
      return
          [o] { gemm_accumulate_transposed(o.n, o.k, o.a, o.lda, o.b, o.ldb, o.c, o.ldc, 0, o.m); };
    }
    if (layout == Kernel::gemm_packed) {
      const auto b = std::make_shared<PackedMatrix>(o.k, o.n);
      b->pack(Transpose::no, o.b, o.ldb);
      PackedGemm g;
      g.m = o.m;
      g.a = o.a;
      g.lda = o.lda;
      g.c = o.c;
      g.ldc = o.ldc;
      const PackedGemmPlan plan(g, *b);
      return [b, plan, o] { plan.run(o.m, o.a, nullptr, o.c); };
    }
    if (layout != Kernel::gemm && layout != Kernel::gemm_alpha) refuse();
    const auto [alpha, beta] = factors_of(layout);
    const auto plan = std::make_shared<GemmPlan>(Transpose::no, Transpose::no, o.m, o.n, o.k, alpha,
                                                 o.lda, o.ldb, beta, o.ldc, threads);
    return [plan, o] { plan->run(o.a, o.b, o.c); };
  }

  Task gemm_batch(Kernel how, const BatchOperands& o, int threads) override {
    set_backend(backend_.name);
    const bool transposed = how == Kernel::gemm_batch_nt;
    if (!transposed && how != Kernel::gemm_batch && how != Kernel::gemm_loop) refuse();
    const GemmOperands& p = o.first;
    const auto plan =
        std::make_shared<GemmPlan>(Transpose::no, transposed ? Transpose::yes : Transpose::no, p.m,
                                   p.n, p.k, 1.0f, p.lda, p.ldb, 0.0f, p.ldc, threads);
    if (how != Kernel::gemm_loop) {
      return [plan, o] {
        plan->run_batch_strided(o.count, o.first.a, o.stride_a, o.first.b, o.stride_b, o.first.c,
                                o.stride_c);
      };
    }
    return [plan, o] {
      for (std::size_t i = 0; i < o.count; ++i) {
        plan->run(o.first.a + i * o.stride_a, o.first.b + i * o.stride_b,
                  o.first.c + i * o.stride_c);
      }
    };
  }

  Task elementwise(Kernel function, const float* x, float* y, std::size_t n) override {
    set_backend(backend_.name);
    const auto apply = function == Kernel::tanh      ? &lockstep::tanh
                       : function == Kernel::exp     ? &lockstep::exp
                       : function == Kernel::sigmoid ? &lockstep::sigmoid
                       : function == Kernel::relu    ? &lockstep::relu
                                                     : nullptr;
    if (apply == nullptr) refuse();
    return [=] { apply(x, y, n); };
  }

  Task softmax(Kernel kind, const RowsOperands& o) override {
    set_backend(backend_.name);
    const auto apply = kind == Kernel::softmax       ? &lockstep::softmax
                       : kind == Kernel::log_softmax ? &lockstep::log_softmax
                                                     : nullptr;
    if (apply == nullptr) refuse();
    return [=] { apply(o.rows, o.cols, o.x, o.cols, o.y, o.cols); };
  }

  Task loss(const RowsOperands& o) override {
    set_backend(backend_.name);
    return [o] {
      softmax_cross_entropy(o.rows, o.cols, o.x, o.cols, o.labels, o.y, o.cols, o.losses);
    };
  }

  Task update(Kernel kernel, const UpdateOperands& o) override {
    Options options;
    options.optimizer = kernel == Kernel::update_sgd     ? "sgd"
                        : kernel == Kernel::update_adamw ? "adamw"
                                                         : "rmsprop";
    options.decay_biases = true;
    if (kernel == Kernel::update_adamw) options.learning_rate = 0.001;  // as PyTorch
    const double rate = learning_rate_of(options);
    const Tensor all{.name = "weights", .rows = 1, .cols = o.n};
    const auto optimizer = std::make_shared<Optimizer>(std::span(&all, 1), options);
    return [=] {
      optimizer->update({o.weights, o.n}, {o.gradient, o.n}, 1, rate, Team());
      optimizer->advance();
    };
  }

  PackTask pack(Kernel layout, std::size_t k, std::size_t n, const float* b) override {
    set_backend(backend_.name);
    if (layout != Kernel::pack && layout != Kernel::pack_tn) refuse();
    const auto packed = std::make_shared<PackedMatrix>(k, n);
    const Transpose transpose = layout == Kernel::pack_tn ? Transpose::yes : Transpose::no;
    const std::size_t ldb = layout == Kernel::pack_tn ? k : n;
    // A unit vector times the matrix is a row of it.
    const auto unpack_row = [packed](std::size_t row, float* out) {
      std::vector<float> unit(packed->k());
      unit[row] = 1.0f;
      PackedGemm g;
      g.m = 1;
      g.a = unit.data();
      g.lda = packed->k();
      g.c = out;
      g.ldc = packed->n();
      gemm_packed(g, *packed);
    };
    return {[=] { packed->pack(transpose, b, ldb); }, unpack_row};
  }

  RnnTask rnn(Kernel pass, const RnnProblem& problem, int threads) override {
    set_backend(backend_.name);
    if (pass == Kernel::rnn_forward) return forward_task(problem, threads);
    if (pass == Kernel::rnn_backward) return backward_task(problem, threads);
    if (pass != Kernel::rnn_train) refuse();
    return training_task(problem, threads);
  }

  FitTask fit(const Dataset& data, int threads) override {
    set_backend(backend_.name);
    const auto loss = std::make_shared<double>();
    return {[&data, threads, loss] { *loss = second_epoch_loss(data, threads); },
            [loss] { return *loss; }};
  }

 private:
  BackendInfo backend_;
};

}  // namespace

std::unique_ptr<Contender> lockstep_contender(const BackendInfo& backend) {
  return std::make_unique<LockstepContender>(backend);
}

}  // namespace lockstep::bench
