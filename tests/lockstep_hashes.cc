// Prints a hash of everything that must not depend on tuning.h, one line for each backend that this
// CPU runs: linked with the objects of the ordinary build and with those of LOCKSTEP_ODD_TUNING, it
// must print the same.
#include <array>
#include <cstdio>
#include <exception>
#include <numeric>
#include <string>
#include <utility>

#include "backend_scope.h"
#include "floats.h"
#include "fnv_hash.h"
#include "lockstep/elementwise.h"
#include "lockstep/gemm.h"
#include "lockstep/rnn/stream.h"
#include "lockstep/rnn/trainer.h"
#include "lockstep/softmax.h"
#include "networks.h"
#include "thread_ranks.h"

namespace lockstep {
namespace {

struct Shape {
  std::size_t m, n, k;
};

// Rows, columns and depths on both sides of every threshold of a product.
constexpr std::array<Shape, 14> kShapes{{{1, 1, 1},
                                         {1, 131, 300},
                                         {1, 700, 701},
                                         {2, 333, 100},
                                         {3, 17, 64},
                                         {5, 1025, 70},
                                         {7, 15, 17},
                                         {12, 66, 512},
                                         {13, 150, 40},
                                         {20, 50, 50},
                                         {67, 129, 600},
                                         {130, 70, 1100},
                                         {201, 512, 513},
                                         {300, 64, 300}}};

void print(const std::string& backend, const char* what, const FnvHash& hash) {
  std::printf("%s %s %016llx\n", backend.c_str(), what,
              static_cast<unsigned long long>(hash.value()));
}

void add(FnvHash& hash, std::span<const float> values) {
  for (const float value : values) hash.add(value);
}

void add_products(FnvHash& hash, const Shape& s, float alpha, float beta) {
  const std::vector<float> a = normal_floats(s.m * s.k, 1);
  const std::vector<float> b = normal_floats(s.k * s.n, 2);
  for (const Transpose of_a : {Transpose::no, Transpose::yes}) {
    for (const Transpose of_b : {Transpose::no, Transpose::yes}) {
      for (const int threads : {1, 2}) {
        std::vector<float> c = normal_floats(s.m * s.n, 3);
        gemm(of_a, of_b, s.m, s.n, s.k, alpha, a.data(), of_a == Transpose::no ? s.k : s.m,
             b.data(), of_b == Transpose::no ? s.n : s.k, beta, c.data(), s.n, threads);
        add(hash, c);
      }
    }
  }
}

FnvHash products() {
  FnvHash hash;
  for (const Shape& s : kShapes) {
    add_products(hash, s, 1, 0);
    add_products(hash, s, -0.7f, 0.3f);
  }
  return hash;
}

FnvHash packed_products() {
  FnvHash hash;
  for (const Shape& s : kShapes) {
    const std::vector<float> a = normal_floats(s.m * s.k, 1);
    const std::vector<float> b = normal_floats(s.k * s.n, 2);
    const std::vector<float> bias = normal_floats(s.n, 3);
    const std::vector<float> h = normal_floats(s.m * s.n, 4);
    for (const Transpose order : {Transpose::no, Transpose::yes}) {
      PackedMatrix packed(s.k, s.n);
      packed.pack(order, b.data(), order == Transpose::no ? s.n : s.k);
      for (const Epilogue epilogue : {Epilogue::none, Epilogue::tanh, Epilogue::tanh_gradient}) {
        std::vector<float> c(s.m * s.n);
        gemm_packed({.m = s.m,
                     .a = a.data(),
                     .lda = s.k,
                     .start = bias.data(),
                     .c = c.data(),
                     .ldc = s.n,
                     .epilogue = epilogue,
                     .h = h.data(),
                     .ldh = s.n},
                    packed);
        add(hash, c);
      }
    }
  }
  return hash;
}

FnvHash accumulated_products() {
  FnvHash hash;
  for (const Shape& s : kShapes) {
    const std::size_t ldb = (s.n + kAlignedColumns - 1) / kAlignedColumns * kAlignedColumns;
    const std::vector<float> a = normal_floats(s.k * s.m, 1);
    const std::vector<float> b = normal_floats(s.k * ldb, 2);
    std::vector<float> c = normal_floats(s.m * s.n, 3);
    gemm_accumulate_transposed(s.n, s.k, a.data(), s.m, b.data(), ldb, c.data(), s.n, 0, s.m);
    add(hash, c);
  }
  return hash;
}

FnvHash elementwise() {
  FnvHash hash;
  const std::vector<float> x = normal_floats(4999, 5);
  for (const auto function : {tanh, exp, sigmoid, relu}) {
    for (const std::size_t n : {1u, 7u, 33u, 4999u}) {
      std::vector<float> y(n);
      function(x.data(), y.data(), n);
      add(hash, y);
    }
  }
  return hash;
}

FnvHash softmaxes() {
  FnvHash hash;
  constexpr std::size_t kRows = 40;
  for (const std::size_t cols : {1u, 10u, 16u, 17u, 50u, 100u, 128u, 200u, 1000u, 140001u}) {
    const std::size_t rows = cols > 1000 ? 2 : kRows;
    const std::vector<float> x = normal_floats(rows * cols, 6);
    std::vector<float> y(x.size());
    softmax(rows, cols, x.data(), cols, y.data(), cols);
    add(hash, y);
    log_softmax(rows, cols, x.data(), cols, y.data(), cols);
    add(hash, y);
    std::vector<int> labels(rows);
    for (std::size_t i = 0; i < rows; ++i) labels[i] = static_cast<int>(i % cols);
    hash.add(
        mean_softmax_cross_entropy(rows, cols, x.data(), cols, labels.data(), y.data(), cols).loss);
    add(hash, y);
  }
  return hash;
}

// Sequences of unequal length.
Dataset data_for(const Sizes& shape, std::size_t size, std::size_t steps) {
  Dataset data(shape.features, std::vector<std::string>(shape.classes, "class"));
  for (std::size_t i = 0; i < size; ++i) {
    data.add(normal_floats((1 + (i * 7 + 3) % steps) * shape.features, i),
             static_cast<int>(i % shape.classes));
  }
  return data;
}

// Training, prediction and a stream of one network.
void add_network(FnvHash& hash, const Sizes& shape, std::size_t size, std::size_t steps) {
  const Dataset data = data_for(shape, size, steps);
  for (const int threads : {1, 2, 3}) {
    Parameters model = random_network(shape);
    Options options;
    options.epochs = 2;
    options.batch_size = size / 2 + 1;
    options.clip_norm = 1;
    options.dropout = 0.25;
    options.threads = threads;
    for (const EpochResult& result : train(model, data, options)) hash.add(result.loss);
    hash.add(weights_hash(model));
    add(hash, predict_proba(model, data, threads));
    if (shape.bidirectional) continue;
    Stream stream(model, 3, threads);
    stream.feed(normal_floats(3 * 5 * shape.features, 7), 5);
    add(hash, stream.logits());
  }
}

FnvHash small_networks() {
  FnvHash hash;
  add_network(hash, {.features = 1, .hidden = 50, .classes = 3}, 20, 9);
  add_network(hash, {.features = 16, .hidden = 64, .classes = 2}, 3, 30);
  add_network(hash, {.features = 28, .hidden = 129, .classes = 10}, 70, 5);
  add_network(hash, {.features = 40, .hidden = 300, .classes = 4, .cell = "relu"}, 24, 40);
  return hash;
}

// An optimizer that keeps something of each weight, and its average.
void add_update(FnvHash& hash, const Sizes& shape) {
  const Dataset data = data_for(shape, 20, 9);
  Parameters model = random_network(shape);
  Options options;
  options.epochs = 2;
  options.optimizer = "adamw";
  options.weight_decay = 0.02;
  options.ema = 0.9;
  Trainer trainer(model, options);
  while (trainer.run_epoch(data).epoch < options.epochs) {
  }
  hash.add(weights_hash(model));
  hash.add(weights_hash(trainer.averaged()));
}

FnvHash gated_networks() {
  FnvHash hash;
  for (const char* cell : {"gru", "lstm"}) {
    add_network(hash, {.features = 1, .hidden = 50, .classes = 3, .cell = cell}, 20, 9);
    add_network(hash, {.features = 28, .hidden = 67, .classes = 10, .cell = cell}, 70, 5);
    add_network(hash, {.features = 140, .hidden = 210, .classes = 4, .cell = cell}, 24, 8);
    for (const Pooling pool : {Pooling::mean, Pooling::max}) {
      const Sizes pooled{3, 40, 3, cell, 1, true, pool};
      add_network(hash, pooled, 20, 9);
      add_update(hash, pooled);
    }
  }
  return hash;
}

FnvHash stacks() {
  FnvHash hash;
  add_network(hash, {.features = 3, .hidden = 33, .classes = 3, .layers = 3}, 40, 9);
  add_network(hash, {.features = 3, .hidden = 140, .classes = 3, .cell = "lstm", .layers = 2}, 33,
              9);
  for (const char* cell : {"tanh", "gru", "lstm"}) {
    const Sizes shape{.features = 5,
                      .hidden = 20,
                      .classes = 4,
                      .cell = cell,
                      .layers = 2,
                      .bidirectional = true};
    add_network(hash, shape, 20, 12);
  }
  return hash;
}

FnvHash large_networks() {
  FnvHash hash;
  add_network(hash, {.features = 9, .hidden = 400, .classes = 5}, 37, 6);
  add_network(hash, {.features = 140, .hidden = 520, .classes = 5}, 9, 8);
  // Two leaves of a minibatch, which three threads share by columns or by leaves.
  add_network(hash, {.features = 2, .hidden = 384, .classes = 3}, 260, 3);
  return hash;
}

// Windows that are divided into segments, together or layer by layer.
FnvHash long_sequences() {
  FnvHash hash;
  for (const auto& [cell, bidirectional] :
       {std::pair{"tanh", false}, {"gru", false}, {"lstm", false}, {"gru", true}}) {
    const Sizes shape{.features = 3,
                      .hidden = 33,
                      .classes = 3,
                      .cell = cell,
                      .layers = 2,
                      .bidirectional = bidirectional};
    const Dataset data = data_for(shape, 20, 150);
    Options options;
    options.epochs = 2;
    options.dropout = 0.25;
    options.threads = 1;
    options.memory = training_workspace_bytes(shape, options, data.size(), data.max_length()) / 2;
    Parameters model = random_network(shape);
    train(model, data, options);
    hash.add(weights_hash(model));
  }
  return hash;
}

// Threads as ranks, whose sections differ by the tuning.
FnvHash ranks() {
  FnvHash hash;
  for (const bool bidirectional : {false, true}) {
    const Sizes shape{.features = 3,
                      .hidden = 33,
                      .classes = 3,
                      .cell = "gru",
                      .layers = 3,
                      .bidirectional = bidirectional};
    const Dataset data = data_for(shape, 40, 9);
    for (const int size : {2, 3}) {
      std::vector<std::uint64_t> hashes(static_cast<std::size_t>(size));
      require_well(on_ranks(size, [&](Ranks& ranks) {
        Parameters model = random_network(shape);
        Options options;
        options.clip_norm = 1;
        options.optimizer = "adamw";
        options.threads = 1 + ranks.rank();
        Trainer trainer(model, options, &ranks);
        trainer.run_epoch(data);
        trainer.run_epoch(data);
        hashes[static_cast<std::size_t>(ranks.rank())] = weights_hash(model);
      }));
      for (const std::uint64_t each : hashes) hash.add(each);
    }
  }
  return hash;
}

void print_hashes(const BackendInfo& backend) {
  const std::string name(backend.name);
  const BackendScope scope(name);
  print(name, "elementwise", elementwise());
  print(name, "softmax", softmaxes());
  // The reference rounds a sum wherever a product is cut.
  if (name == "reference") return;
  print(name, "products", products());
  print(name, "packed", packed_products());
  print(name, "accumulated", accumulated_products());
  print(name, "networks", small_networks());
  print(name, "gated-networks", gated_networks());
  print(name, "stacks", stacks());
  print(name, "large-networks", large_networks());
  print(name, "long-sequences", long_sequences());
  print(name, "ranks", ranks());
}

}  // namespace
}  // namespace lockstep

int main() try {
  for (const lockstep::BackendInfo& backend : lockstep::runnable_infos()) {
    lockstep::print_hashes(backend);
  }
  if (lockstep::fused_backends().empty()) std::puts("no fused backend runs here");
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
