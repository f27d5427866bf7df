// A product that is checked and whose way is chosen, for operands to come.
#pragma once

#include "gemm/blocked.h"
#include "gemm/chain.h"
#include "gemm/path.h"

namespace lockstep {

struct PlannedProduct {
  Product product;
  const Backend& backend;
  int threads = 1;  // that may be used; choice.threads is how many of them one product pays for
  Choice choice;
  StripPlan whole{};  // of Path::whole
};

// As chosen for up to `threads` threads. Checks nothing.
PlannedProduct planned(const Product& product, const Backend& backend, int threads);

// The same for an argument `threads` as resolve_threads takes it. Errors: as gemm.
PlannedProduct checked_plan(const Product& product, const Backend& backend, int threads);

// Errors: as GemmPlan::run.
void multiply(const PlannedProduct& p, const float* a, const float* b, float* c);

// Path::whole. Inline, and one strip filled in directly: a small product waits for what is written
// and read again.
[[gnu::always_inline]] inline void multiply_whole(const Product& p, const Backend& backend,
                                                  const StripPlan& plan, const float* a,
                                                  const float* b, float* c) {
  run_strips(backend, panels_at_once(backend, p.m), /*prefetches=*/false, nullptr,
             {.plan = &plan,
              .rows = p.m,
              .cols = p.n,
              .a = a,
              .b = b,
              .next_b = nullptr,
              .start = p.beta == 0.0f ? nullptr : c,
              .c = c,
              .h = nullptr});
}

// How many of up to `threads` threads share `count` products; `choice` is that of one product on as
// many. 1 where they share each product in turn, and where more do not pay.
constexpr int threads_over_products(const Product& p, const Choice& choice, int threads,
                                    std::size_t count) {
  if (threads == 1 || choice.path == Path::scaled) return 1;
  if (count < static_cast<std::size_t>(choice.threads)) return 1;
  const double work = static_cast<double>(count) * static_cast<double>(p.m) *
                      static_cast<double>(p.n) * static_cast<double>(p.k);
  return useful_threads(work, kProductWorkPerThread, count, threads);
}

// Of `count` products on `threads`, those of a last round that would leave threads idle: where one
// pays for more threads, they share each of these in turn.
constexpr std::size_t products_left(const Choice& choice, int threads, std::size_t count) {
  return choice.threads > 1 ? count % static_cast<std::size_t>(threads) : 0;
}

// Products of one shape. Errors: as GemmPlan::run_batch.
void multiply_batch(const PlannedProduct& p, std::size_t count, const float* const* a,
                    const float* const* b, float* const* c);

struct GemmPlan::State {
  PlannedProduct product;
};

}  // namespace lockstep
