#include "lockstep/gates.h"

#include <array>
#include <cmath>
#include <functional>

#include "backend_scope.h"
#include "catch.h"
#include "guarded_matrix.h"

namespace lockstep {
namespace {

constexpr std::size_t kGates = 4;
constexpr std::size_t kRows = 3;

// A timestep with what both passes read and write: gates, deltas [rows][4 units] and, of each
// sequence, the state before (c' or h'), c, h and the gradients dh and dc.
struct Problem {
  explicit Problem(std::size_t units, std::size_t offset = 0)
      : gates(normal_matrix(kRows, kGates * units, 1, 5, offset)),
        deltas(kRows, kGates * units, 3, offset),
        before(normal_matrix(kRows, units, 2, 2, offset)),
        c(kRows, units, 1, offset),
        h(kRows, units, 4, offset),
        dh(normal_matrix(kRows, units, 3, 1, offset)),
        dc(normal_matrix(kRows, units, 4, 2, offset)) {}

  [[nodiscard]] bool guards_intact() const {
    return gates.guards_intact() && deltas.guards_intact() && before.guards_intact() &&
           c.guards_intact() && h.guards_intact() && dh.guards_intact() && dc.guards_intact();
  }
  [[nodiscard]] std::vector<float> all() const {
    std::vector<float> values;
    for (const GuardedMatrix* m : {&gates, &deltas, &before, &c, &h, &dh, &dc}) {
      const std::vector<float> part = m->values();
      values.insert(values.end(), part.begin(), part.end());
    }
    return values;
  }

  GuardedMatrix gates, deltas, before, c, h, dh, dc;
};

// Units `first` to `last` - 1 there and back.
void run_lstm(Problem& p, std::size_t first, std::size_t last) {
  const std::size_t units = p.before.cols();
  lstm_forward({.rows = kRows,
                .units = last - first,
                .gate_stride = units,
                .gates = p.gates.data() + first,
                .ldg = p.gates.stride(),
                .c_before = p.before.data() + first,
                .ldc_before = p.before.stride(),
                .c = p.c.data() + first,
                .ldc = p.c.stride(),
                .h = p.h.data() + first,
                .ldh = p.h.stride()});
  lstm_backward({.rows = kRows,
                 .units = last - first,
                 .gate_stride = units,
                 .gates = p.gates.data() + first,
                 .ldg = p.gates.stride(),
                 .c_before = p.before.data() + first,
                 .ldc_before = p.before.stride(),
                 .c = p.c.data() + first,
                 .ldc = p.c.stride(),
                 .dh = p.dh.data() + first,
                 .lddh = p.dh.stride(),
                 .dc = p.dc.data() + first,
                 .lddc = p.dc.stride(),
                 .deltas = p.deltas.data() + first,
                 .ldd = p.deltas.stride()});
}

void run_gru(Problem& p, std::size_t first, std::size_t last) {
  const std::size_t units = p.before.cols();
  gru_forward({.rows = kRows,
               .units = last - first,
               .gate_stride = units,
               .gates = p.gates.data() + first,
               .ldg = p.gates.stride(),
               .h_before = p.before.data() + first,
               .ldh_before = p.before.stride(),
               .h = p.h.data() + first,
               .ldh = p.h.stride()});
  gru_backward({.rows = kRows,
                .units = last - first,
                .gate_stride = units,
                .gates = p.gates.data() + first,
                .ldg = p.gates.stride(),
                .h_before = p.before.data() + first,
                .ldh_before = p.before.stride(),
                .dh = p.dh.data() + first,
                .lddh = p.dh.stride(),
                .deltas = p.deltas.data() + first,
                .ldd = p.deltas.stride()});
}

// What a cell makes of the four sums of a unit and its state before: the next state, and c or 0.
// Written from PyTorch's documentation of LSTM and GRU, not from the kernels.
struct Next {
  double h;
  double c;
};
using Unit = std::array<double, kGates + 1>;  // sums, state before

double sigma(double x) { return 1 / (1 + std::exp(-x)); }

Next lstm(const Unit& u) {
  const double c = sigma(u[1]) * u[4] + sigma(u[0]) * std::tanh(u[2]);
  return {sigma(u[3]) * std::tanh(c), c};
}

Next gru(const Unit& u) {
  const double z = sigma(u[2]);
  return {(1 - z) * std::tanh(u[0] + sigma(u[1]) * u[3]) + z * u[4], 0};
}

struct CellKernels {
  const char* name;
  void (*run)(Problem& p, std::size_t first, std::size_t last);
  Next (*define)(const Unit&);
};
constexpr CellKernels kCellKernels[] = {{"lstm", run_lstm, lstm}, {"gru", run_gru, gru}};

// The derivative of dh h + dc c by one of the sums or the state before.
double derivative(const CellKernels& cell, const Unit& unit, std::size_t by, double dh, double dc) {
  constexpr double kStep = 1e-6;
  Unit above = unit;
  Unit below = unit;
  above[by] += kStep;
  below[by] -= kStep;
  const Next a = cell.define(above);
  const Next b = cell.define(below);
  return (dh * (a.h - b.h) + dc * (a.c - b.c)) / (2 * kStep);
}

TEST_CASE("gates there and back are those of the definition, on every backend and tail") {
  constexpr double kTolerance = 1e-6;
  for (const CellKernels& cell : kCellKernels) {
    const bool is_lstm = cell.define == lstm;
    for (const std::string& name : runnable_backends()) {
      const BackendScope scope(name);
      for (const std::size_t units : {1u, 3u, 8u, 15u, 16u, 17u, 31u, 33u, 50u, 64u, 67u, 100u}) {
        CAPTURE(cell.name, name, units);
        const Problem before(units, units % 5);
        Problem p = before;
        cell.run(p, 0, units);
        double worst = 0;
        for (std::size_t row = 0; row < kRows; ++row) {
          for (std::size_t j = 0; j < units; ++j) {
            Unit unit{};
            for (std::size_t g = 0; g < kGates; ++g) {
              unit[g] = static_cast<double>(before.gates.at(row, g * units + j));
            }
            unit[kGates] = static_cast<double>(before.before.at(row, j));
            const double dh = static_cast<double>(before.dh.at(row, j));
            const double dc = is_lstm ? static_cast<double>(before.dc.at(row, j)) : 0;
            const auto compare = [&](float found, double expected) {
              worst = std::max(worst, std::abs(static_cast<double>(found) - expected));
            };
            const Next next = cell.define(unit);
            compare(p.h.at(row, j), next.h);
            if (is_lstm) compare(p.c.at(row, j), next.c);
            for (std::size_t g = 0; g < kGates; ++g) {
              compare(p.deltas.at(row, g * units + j), derivative(cell, unit, g, dh, dc));
            }
            const double direct = derivative(cell, unit, kGates, dh, dc);
            compare(is_lstm ? p.dc.at(row, j) : p.dh.at(row, j), direct);
          }
        }
        CHECK(worst < kTolerance);
        CHECK(p.guards_intact());
        CHECK(same_bits(p.before.values(), before.before.values()));
      }
    }
  }
}

TEST_CASE("gates give the same bits whichever units are computed together") {
  constexpr std::size_t kUnits = 53;
  for (const CellKernels& cell : kCellKernels) {
    for (const std::string& name : runnable_backends()) {
      const BackendScope scope(name);
      Problem whole(kUnits);
      cell.run(whole, 0, kUnits);
      for (const std::size_t cut : {1u, 7u, 16u, 40u, 52u}) {
        CAPTURE(cell.name, name, cut);
        Problem parts(kUnits, cut % 3);
        cell.run(parts, cut, kUnits);
        cell.run(parts, 0, cut);
        CHECK(same_bits(parts.all(), whole.all()));
      }
    }
  }
}

TEST_CASE("gates give the same bits on every fused backend", "[optional]") {
  LOCKSTEP_SKIP_WITHOUT_TWO_FUSED();
  for (const CellKernels& cell : kCellKernels) {
    std::vector<float> first;
    for (const std::string& name : fused_backends()) {
      CAPTURE(cell.name, name);
      const BackendScope scope(name);
      Problem p(77);
      cell.run(p, 0, 77);
      if (first.empty()) first = p.all();
      CHECK(same_bits(p.all(), first));
    }
  }
}

TEST_CASE("gates saturate without NaN, and NaN is not lost") {
  constexpr std::size_t kUnits = 20;
  for (const CellKernels& cell : kCellKernels) {
    for (const std::string& name : runnable_backends()) {
      CAPTURE(cell.name, name);
      const BackendScope scope(name);
      for (const float sum : {kInfinity, -kInfinity, 200.0f, -200.0f}) {
        Problem p(kUnits);
        p.gates.fill(std::vector<float>(kRows * kGates * kUnits, std::abs(sum) < 1e3f ? sum : 90));
        for (std::size_t g = 0; g < 3; ++g) {
          for (std::size_t j = 0; j < kUnits; ++j) p.gates.at(0, g * kUnits + j) = sum;
        }
        cell.run(p, 0, kUnits);
        CHECK(std::ranges::all_of(p.h.values(), [](float h) { return std::abs(h) <= 4; }));
        CHECK(std::ranges::none_of(p.deltas.values(), [](float d) { return std::isnan(d); }));
      }
      for (std::size_t g = 0; g < kGates; ++g) {
        Problem p(kUnits);
        p.gates.at(1, g * kUnits + 18) = kNaN;
        cell.run(p, 0, kUnits);
        CHECK(std::isnan(p.h.at(1, 18)));
        CHECK(std::isnan(p.deltas.at(1, g * kUnits + 18)));
        CHECK(!std::isnan(p.h.at(1, 17)));
      }
    }
  }
}

TEST_CASE("a gate is within the documented error") {
  // z of a GRU whose n is 0: h = z h', exactly z where h' is 1.
  std::vector<float> x;
  for (int i = -160000; i <= 160000; ++i) x.push_back(static_cast<float>(i) * 0x1p-13f);
  for (const std::string& name : runnable_backends()) {
    const BackendScope scope(name);
    std::vector<float> gates(4 * x.size());
    std::ranges::copy(x, gates.begin() + static_cast<std::ptrdiff_t>(2 * x.size()));
    const std::vector<float> before(x.size(), 1.0f);
    std::vector<float> z(x.size());
    gru_forward({.rows = 1,
                 .units = x.size(),
                 .gate_stride = x.size(),
                 .gates = gates.data(),
                 .ldg = gates.size(),
                 .h_before = before.data(),
                 .ldh_before = before.size(),
                 .h = z.data(),
                 .ldh = z.size()});
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double exact = sigma(static_cast<double>(x[i]));
      worst = std::max(worst, std::abs(static_cast<double>(z[i]) - exact));
    }
    CAPTURE(name, worst);
    CHECK(worst <= kGateMaxError);
  }
}

TEST_CASE("a GRU takes h in place of h'") {
  constexpr std::size_t kUnits = 37;
  for (const std::string& name : runnable_backends()) {
    CAPTURE(name);
    const BackendScope scope(name);
    Problem apart(kUnits);
    Problem together(kUnits);
    run_gru(apart, 0, kUnits);
    gru_forward({.rows = kRows,
                 .units = kUnits,
                 .gate_stride = kUnits,
                 .gates = together.gates.data(),
                 .ldg = together.gates.stride(),
                 .h_before = together.before.data(),
                 .ldh_before = together.before.stride(),
                 .h = together.before.data(),
                 .ldh = together.before.stride()});
    CHECK(same_bits(together.before.values(), apart.h.values()));
    CHECK(together.guards_intact());
  }
}

TEST_CASE("gates take c in place of c' and deltas in place of the gates") {
  const std::string name = GENERATE(from_range(runnable_backends()));
  CAPTURE(name);
  const BackendScope scope(name);
  constexpr std::size_t kUnits = 37;
  Problem apart(kUnits);
  Problem together(kUnits);
  run_lstm(apart, 0, kUnits);
  LstmForward forward{.rows = kRows,
                      .units = kUnits,
                      .gate_stride = kUnits,
                      .gates = together.gates.data(),
                      .ldg = together.gates.stride(),
                      .c_before = together.before.data(),
                      .ldc_before = together.before.stride(),
                      .c = together.before.data(),
                      .ldc = together.before.stride(),
                      .h = together.h.data(),
                      .ldh = together.h.stride()};
  lstm_forward(forward);
  CHECK(same_bits(together.before.values(), apart.c.values()));
  CHECK(same_bits(together.h.values(), apart.h.values()));
  lstm_backward({.rows = kRows,
                 .units = kUnits,
                 .gate_stride = kUnits,
                 .gates = together.gates.data(),
                 .ldg = together.gates.stride(),
                 .c_before = apart.before.data(),
                 .ldc_before = apart.before.stride(),
                 .c = together.before.data(),
                 .ldc = together.before.stride(),
                 .dh = together.dh.data(),
                 .lddh = together.dh.stride(),
                 .dc = together.dc.data(),
                 .lddc = together.dc.stride(),
                 .deltas = together.gates.data(),
                 .ldd = together.gates.stride()});
  CHECK(same_bits(together.gates.values(), apart.deltas.values()));
  CHECK(same_bits(together.dc.values(), apart.dc.values()));
}

TEST_CASE("gates name a null matrix and a short stride, unless there is nothing to do") {
  float x[16] = {};
  const GruForward sound{.rows = 1,
                         .units = 4,
                         .gate_stride = 4,
                         .gates = x,
                         .ldg = 16,
                         .h_before = x,
                         .ldh_before = 4,
                         .h = x,
                         .ldh = 4};
  gru_forward({});
  lstm_forward({});
  gru_backward({});
  lstm_backward({});
  const auto refused = [&](auto change, const std::string& message) {
    GruForward step = sound;
    change(step);
    REQUIRE_THROWS_WITH(gru_forward(step), "gru_forward: " + message);
  };
  refused([](GruForward& s) { s.gates = nullptr; }, "a matrix is null");
  refused([](GruForward& s) { s.h = nullptr; }, "a matrix is null");
  refused([](GruForward& s) { s.ldg = 15; }, "a row stride is shorter than a row");
  refused([](GruForward& s) { s.ldh_before = 3; }, "a row stride is shorter than a row");
  refused([](GruForward& s) { s.gate_stride = 3; }, "gate_stride is shorter than a gate");
}

}  // namespace
}  // namespace lockstep
