// The kernels on NumPy arrays.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "arrays.h"
#include "bindings.h"
#include "gil.h"
#include "lockstep/elementwise.h"
#include "lockstep/error.h"
#include "lockstep/gemm.h"
#include "lockstep/softmax.h"

namespace lockstep::python {
namespace {

using Access = Buffer::Access;

constexpr auto kFloatBytes = static_cast<std::ptrdiff_t>(sizeof(float));

// Float32 where it is, with any strides.
void take_in_place(Buffer& buffer, nb::handle object, const char* what, Access access) {
  if (buffer.take_strided(object, access) && buffer.holds_floats()) return;
  throw nb::type_error((std::string(what) + ": expected a " +
                        (access == Access::write ? "writable " : "") + "float32 array")
                           .c_str());
}

// Rows of floats one after another in memory, as many as the other axes have.
struct Rows {
  const char* what;
  Buffer buffer{};
  std::size_t count = 1;
  std::size_t length = 1;
  std::size_t stride = 0;  // floats from row to row

  float* row(std::size_t i) const { return buffer.data<float>() + i * stride; }
};

bool is_contiguous(const Buffer& b) {
  std::ptrdiff_t expected = kFloatBytes;
  for (std::size_t axis = b.ndim(); axis-- > 0;) {
    if (b.shape(axis) != 1 && b.stride(axis) != expected) return false;
    expected *= static_cast<std::ptrdiff_t>(b.shape(axis));
  }
  return true;
}

void take_rows(Rows& rows, nb::handle object, Access access) {
  Buffer& b = rows.buffer;
  take_in_place(b, object, rows.what, access);
  if (b.ndim() == 0) return;
  rows.length = b.shape(b.ndim() - 1);
  for (std::size_t axis = 0; axis + 1 < b.ndim(); ++axis) rows.count *= b.shape(axis);
  rows.stride = rows.length;
  if (b.bytes() == 0 || is_contiguous(b)) return;
  const std::ptrdiff_t stride = b.ndim() == 2 ? b.stride(0) : 0;
  const bool fits = (rows.length == 1 || b.stride(b.ndim() - 1) == kFloatBytes) &&
                    stride % kFloatBytes == 0 &&
                    stride / kFloatBytes >= static_cast<std::ptrdiff_t>(rows.length);
  if (!fits) {
    throw InvalidArgument(std::string(rows.what) +
                          ": expected an array in C order, or one of two axes whose rows are each "
                          "contiguous; numpy.ascontiguousarray makes one");
  }
  rows.stride = static_cast<std::size_t>(stride / kFloatBytes);
}

bool same_shape(const Buffer& a, const Buffer& b) {
  if (a.ndim() != b.ndim()) return false;
  for (std::size_t axis = 0; axis < a.ndim(); ++axis) {
    if (a.shape(axis) != b.shape(axis)) return false;
  }
  return true;
}

// `out`, or where that is None a new array of the same shape.
nb::object out_like(nb::handle x, nb::handle out) {
  static const nb::object* const empty =
      new nb::object(nb::module_::import_("numpy").attr("empty_like"));
  if (!out.is_none()) return nb::borrow(out);
  return (*empty)(x, nb::arg("order") = "C", nb::arg("subok") = false);
}

// Whether two arrays share memory other than by being the same.
void require_apart(const Rows& x, const Rows& y) {
  const auto end = [](const Rows& r) {
    return r.count == 0 ? r.row(0) : r.row(r.count - 1) + r.length;
  };
  const bool overlap = x.row(0) < end(y) && y.row(0) < end(x);
  const bool equal = x.row(0) == y.row(0) && x.stride == y.stride;
  if (!overlap || equal) return;
  throw InvalidArgument("out: it overlaps x, and is not the same memory");
}

// Work on rows of x and as many of y.
template <class Work>
nb::object on_rows(nb::handle object, nb::handle out, double work_per_value, const Work& work) {
  Rows x{"x"};
  take_rows(x, object, Access::read);
  nb::object result = out_like(object, out);
  Rows y{"out"};
  take_rows(y, result, Access::write);
  if (!same_shape(x.buffer, y.buffer)) {
    throw InvalidArgument("out: expected shape " + shape_text(x.buffer) + ", found " +
                          shape_text(y.buffer));
  }
  require_apart(x, y);
  const ReleaseGil release(work_per_value * static_cast<double>(x.count * x.length));
  work(x, y);
  return result;
}

template <void (*kernel)(const float*, float*, std::size_t)>
nb::object elementwise(nb::handle x, nb::handle out) {
  constexpr double kWork = 20;
  return on_rows(x, out, kWork, [](const Rows& from, const Rows& to) {
    const bool is_whole = from.stride == from.length && to.stride == to.length;
    if (is_whole) return kernel(from.row(0), to.row(0), from.count * from.length);
    for (std::size_t i = 0; i < from.count; ++i) kernel(from.row(i), to.row(i), from.length);
  });
}

template <void (*kernel)(std::size_t, std::size_t, const float*, std::size_t, float*, std::size_t)>
nb::object softmax_of_rows(nb::handle x, nb::handle out) {
  constexpr double kWork = 40;
  return on_rows(x, out, kWork, [](const Rows& from, const Rows& to) {
    kernel(from.count, from.length, from.row(0), from.stride, to.row(0), to.stride);
  });
}

nb::tuple cross_entropy(nb::handle logits, nb::handle labels, nb::handle out) {
  Buffer integers;
  take_integers(integers, labels, "labels");
  const std::vector<int> classes = to_ints(integers, "labels");
  std::vector<double> losses(classes.size());
  std::size_t correct = 0;
  constexpr double kWork = 40;
  nb::object gradient = on_rows(logits, out, kWork, [&](const Rows& x, const Rows& g) {
    if (x.count != classes.size()) {
      throw InvalidArgument("labels: expected one for each of " + std::to_string(x.count) +
                            " rows, found " + std::to_string(classes.size()));
    }
    correct = softmax_cross_entropy(x.count, x.length, x.row(0), x.stride, classes.data(), g.row(0),
                                    g.stride, losses.data());
  });
  return nb::make_tuple(double_array(losses), gradient, correct);
}

ConstMatrixView matrix_of(const Buffer& b, const char* what) {
  if (b.ndim() != 2) {
    throw InvalidArgument(std::string(what) + ": expected a matrix, found shape " + shape_text(b));
  }
  const std::size_t rows = b.shape(0);
  const std::size_t cols = b.shape(1);
  const auto strides_fit = [&](std::size_t along, std::size_t across) {
    const std::ptrdiff_t stride = b.stride(across);
    return (b.shape(along) <= 1 || b.stride(along) == kFloatBytes) &&
           (b.shape(across) <= 1 ||
            (stride % kFloatBytes == 0 &&
             stride / kFloatBytes >= static_cast<std::ptrdiff_t>(b.shape(along))));
  };
  const auto stride_of = [&](std::size_t along, std::size_t across) {
    return b.shape(across) <= 1 ? std::max<std::size_t>(1, b.shape(along))
                                : static_cast<std::size_t>(b.stride(across) / kFloatBytes);
  };
  const float* const data = b.data<const float>();
  if (b.bytes() == 0) return {data, rows, cols};
  if (strides_fit(1, 0)) return {data, rows, cols, stride_of(1, 0)};
  if (strides_fit(0, 1)) return ConstMatrixView(data, cols, rows, stride_of(0, 1)).transposed();
  throw InvalidArgument(std::string(what) +
                        ": expected a matrix whose rows or columns are each contiguous; "
                        "numpy.ascontiguousarray makes one");
}

nb::object multiply(nb::handle a, nb::handle b, nb::handle out, float alpha, float beta,
                    int threads) {
  Buffer a_buffer;
  Buffer b_buffer;
  take_in_place(a_buffer, a, "a", Access::read);
  take_in_place(b_buffer, b, "b", Access::read);
  const ConstMatrixView a_view = matrix_of(a_buffer, "a");
  const ConstMatrixView b_view = matrix_of(b_buffer, "b");
  if (out.is_none() && beta != 0) throw InvalidArgument("beta: there is no `out` to add to");
  nb::object result = out.is_none() ? new_floats({a_view.rows, b_view.cols}) : nb::borrow(out);
  Buffer c_buffer;
  take_in_place(c_buffer, result, "out", Access::write);
  const ConstMatrixView c_view = matrix_of(c_buffer, "out");
  if (c_view.transpose == Transpose::yes) {
    throw InvalidArgument("out: expected a matrix whose rows are each contiguous");
  }
  const MatrixView c(c_buffer.data<float>(), c_view.rows, c_view.cols, c_view.stride);
  const ReleaseGil release(static_cast<double>(c.rows) * static_cast<double>(c.cols) *
                           static_cast<double>(a_view.cols));
  gemm(a_view, b_view, c, {.alpha = alpha, .beta = beta, .threads = threads});
  return result;
}

}  // namespace

void bind_kernels(nb::module_& m) {
  using namespace nb::literals;
  const auto def = [&](const char* name, auto function, const char* signature, const char* doc) {
    m.def(name, function, "x"_a, "out"_a = nb::none(), nb::sig(signature), doc);
  };
#define LOCKSTEP_SIGNATURE(name) \
  "def " name "(x: numpy.ndarray, out: numpy.ndarray | None = None) -> numpy.ndarray"
  def("tanh", elementwise<&lockstep::tanh>, LOCKSTEP_SIGNATURE("tanh"),
      "Hyperbolic tangent, within 1.5 units in the last place.");
  def("exp", elementwise<&lockstep::exp>, LOCKSTEP_SIGNATURE("exp"),
      "e to the power of x, within 1 unit in the last place.");
  def("sigmoid", elementwise<&lockstep::sigmoid>, LOCKSTEP_SIGNATURE("sigmoid"),
      "1 / (1 + exp(-x)), within 3 units in the last place.");
  def("relu", elementwise<&lockstep::relu>, LOCKSTEP_SIGNATURE("relu"),
      "x, and 0 where it is negative.");
  def("softmax", softmax_of_rows<&lockstep::softmax>, LOCKSTEP_SIGNATURE("softmax"),
      "Softmax along the last axis.");
  def("log_softmax", softmax_of_rows<&lockstep::log_softmax>, LOCKSTEP_SIGNATURE("log_softmax"),
      "Logarithm of the softmax along the last axis.");
#undef LOCKSTEP_SIGNATURE
  m.def("cross_entropy", cross_entropy, "logits"_a, "labels"_a, "out"_a = nb::none(),
        nb::sig("def cross_entropy(logits: numpy.ndarray, labels: typing.Any, out: numpy.ndarray | "
                "None = None) -> tuple[numpy.ndarray, numpy.ndarray, int]"),
        "Cross-entropy of the softmax of each row: (losses [rows] in float64, gradient of their "
        "sum by the logits, rows whose largest logit is at their label). `out` gets the gradient.");
  m.def("gemm", multiply, "a"_a, "b"_a, "out"_a = nb::none(), nb::kw_only(), "alpha"_a = 1.0f,
        "beta"_a = 0.0f, "threads"_a = 0,
        nb::sig("def gemm(a: numpy.ndarray, b: numpy.ndarray, out: numpy.ndarray | None = None, *, "
                "alpha: float = 1.0, beta: float = 0.0, threads: int = 0) -> numpy.ndarray"),
        "alpha a b + beta out. Transposes and views whose rows or columns are contiguous are read "
        "where they are.");
}

}  // namespace lockstep::python
