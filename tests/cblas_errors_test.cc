// Wrong arguments of BLAS, which come to the handlers that a program defines, as this one does.
#include <algorithm>
#include <string>
#include <vector>

#include "blas_calls.h"
#include "catch.h"

namespace {

struct Report {
  std::string routine;
  int position = 0;
  bool operator==(const Report&) const = default;
};
std::vector<Report> reports;

}  // namespace

extern "C" {
int RowMajorStrg = 0;  // NOLINT(readability-identifier-naming)
void xerbla_(const char* routine, const int* position, std::size_t length) {
  reports.push_back({std::string(routine, length), *position});
}
void cblas_xerbla(int position, const char* routine, const char*, ...) {
  reports.push_back({routine, position});
}
}

namespace lockstep {
namespace {

constexpr Operation kNoOperation{'X', static_cast<CBLAS_TRANSPOSE>(114), false};
constexpr int kM = 2;
constexpr int kN = 3;
constexpr int kK = 4;

// The shortest leading dimension of a matrix that an operation makes rows x cols.
int shortest(Interface interface, const Operation& op, int rows, int cols) {
  return std::max(1, in_memory(op, interface) == Transpose::no ? cols : rows);
}

SgemmCall right_sgemm(Interface interface, const Operation& op_a, const Operation& op_b, int m,
                      int n, int k) {
  return {.interface = interface,
          .op_a = op_a,
          .op_b = op_b,
          .m = m,
          .n = n,
          .k = k,
          .lda = shortest(interface, op_a, m, k),
          .ldb = shortest(interface, op_b, k, n),
          .ldc = shortest(interface, kOperations[0], m, n)};
}

SgemvCall right_sgemv(Interface interface, const Operation& op) {
  const int rows = op.transposes ? kN : kM;
  const int cols = op.transposes ? kM : kN;
  return {.interface = interface,
          .op = op,
          .m = kM,
          .n = kN,
          .lda = shortest(interface, op, rows, cols)};
}

// What a call reports. Its pointers are null, so that it must read and write nothing.
template <class Call>
Report report_of(const Call& call) {
  reports.clear();
  call.run();
  REQUIRE(reports.size() == 1);
  return reports[0];
}

// Makes one argument of a call wrong, which is at a place in Fortran's list.
template <class Call>
struct Fault {
  void (*make)(Call&);
  int place;
};

// C's list has the layout before Fortran's; which layout makes no difference.
template <class Call>
Report expected(const Call& call, const std::string& routine, int place) {
  if (call.interface == Interface::fortran) return {routine, place};
  return {routine == "SGEMM " ? "cblas_sgemm" : "cblas_sgemv", place + 1};
}

const std::vector<Fault<SgemmCall>> kSgemmFaults{
    {[](SgemmCall& call) { call.op_a = kNoOperation; }, 1},
    {[](SgemmCall& call) { call.op_b = kNoOperation; }, 2},
    {[](SgemmCall& call) { call.m = -1; }, 3},
    {[](SgemmCall& call) { call.n = -1; }, 4},
    {[](SgemmCall& call) { call.k = -1; }, 5},
    {[](SgemmCall& call) { --call.lda; }, 8},
    {[](SgemmCall& call) { --call.ldb; }, 10},
    {[](SgemmCall& call) { --call.ldc; }, 13}};

const std::vector<Fault<SgemvCall>> kSgemvFaults{
    {[](SgemvCall& call) { call.op = kNoOperation; }, 1},
    {[](SgemvCall& call) { call.m = -1; }, 2},
    {[](SgemvCall& call) { call.n = -1; }, 3},
    {[](SgemvCall& call) { --call.lda; }, 6},
    {[](SgemvCall& call) { call.incx = 0; }, 8},
    {[](SgemvCall& call) { call.incy = 0; }, 11}};

TEST_CASE("every wrong argument of sgemm is reported with its position") {
  for (const Interface interface : kInterfaces) {
    for (const Operation& op_a : kOperations) {
      for (const Operation& op_b : kOperations) {
        for (const auto& [make, place] : kSgemmFaults) {
          SgemmCall call = right_sgemm(interface, op_a, op_b, kM, kN, kK);
          make(call);
          CAPTURE(static_cast<int>(interface), op_a.letter, op_b.letter, place);
          CHECK(report_of(call) == expected(call, "SGEMM ", place));
        }
      }
    }
  }
}

TEST_CASE("every wrong argument of sgemv is reported with its position") {
  for (const Interface interface : kInterfaces) {
    for (const Operation& op : kOperations) {
      for (const auto& [make, place] : kSgemvFaults) {
        SgemvCall call = right_sgemv(interface, op);
        make(call);
        CAPTURE(static_cast<int>(interface), op.letter, place);
        CHECK(report_of(call) == expected(call, "SGEMV ", place));
      }
    }
  }
}

TEST_CASE("strides of empty matrices must be 1 at least") {
  for (const Interface interface : kInterfaces) {
    for (const std::size_t fault : {5u, 6u, 7u}) {
      SgemmCall call = right_sgemm(interface, kOperations[0], kOperations[0], 0, 0, 0);
      reports.clear();
      call.run();
      CHECK(reports.empty());
      const auto& [make, place] = kSgemmFaults[fault];
      make(call);
      CHECK(report_of(call) == expected(call, "SGEMM ", place));
    }
  }
}

TEST_CASE("an unknown layout is reported") {
  // NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange)
  const auto layout = static_cast<CBLAS_LAYOUT>(100);
  reports.clear();
  cblas_sgemm(layout, CblasNoTrans, CblasNoTrans, 1, 1, 1, 1, nullptr, 1, nullptr, 1, 0, nullptr,
              1);
  cblas_sgemv(layout, CblasNoTrans, 1, 1, 1, nullptr, 1, nullptr, 1, 0, nullptr, 1);
  CHECK(reports == std::vector<Report>{{"cblas_sgemm", 1}, {"cblas_sgemv", 1}});
}

TEST_CASE("of several wrong arguments one is reported") {
  for (const Interface interface : kInterfaces) {
    SgemmCall call = right_sgemm(interface, kOperations[0], kOperations[0], kM, kN, kK);
    for (const auto& [make, place] : kSgemmFaults) make(call);
    CHECK(report_of(call) == expected(call, "SGEMM ", 1));
  }
}

// Such handlers make positions in row order of those in column order, as netlib's testers do.
TEST_CASE("a handler that exchanges positions gets them exchanged") {
  const auto positions = [](const auto& right, const auto& faults) {
    std::vector<int> found(faults.size());
    std::ranges::transform(faults, found.begin(), [&right](const auto& fault) {
      auto call = right;
      fault.make(call);
      return report_of(call).position;
    });
    return found;
  };
  const Operation& plain = kOperations[0];
  const SgemmCall sgemm = right_sgemm(Interface::c_by_rows, plain, plain, kM, kN, kK);
  const SgemvCall sgemv = right_sgemv(Interface::c_by_rows, plain);
  RowMajorStrg = 1;
  CHECK(positions(sgemm, kSgemmFaults) == std::vector<int>{2, 3, 5, 4, 6, 11, 9, 14});
  CHECK(positions(sgemv, kSgemvFaults) == std::vector<int>{2, 4, 3, 7, 9, 12});
  RowMajorStrg = 0;
}

}  // namespace
}  // namespace lockstep
