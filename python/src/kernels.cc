// The kernels on NumPy arrays.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arrays.h"
#include "bindings.h"
#include "gil.h"
#include "lockstep/backend.h"
#include "lockstep/detail/useful_threads.h"
#include "lockstep/elementwise.h"
#include "lockstep/error.h"
#include "lockstep/gemm.h"
#include "lockstep/range.h"
#include "lockstep/softmax.h"
#include "lockstep/threads.h"

namespace lockstep::python {
namespace {

using Access = Buffer::Access;

// The backend that a call names, or none.
using MaybeBackend = std::optional<std::string>;

class BackendOfCall {
 public:
  explicit BackendOfCall(const MaybeBackend& name) {
    if (name) scope_.emplace(*name);
  }

 private:
  std::optional<ThreadBackend> scope_;
};

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
  std::size_t stride = 1;  // floats from row to row

  [[nodiscard]] float* row(std::size_t i) const { return buffer.data<float>() + i * stride; }
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
  static const nb::object* empty_like = nullptr;
  if (!out.is_none()) return nb::borrow(out);
  const nb::object& make = once(
      empty_like, [] { return new nb::object(nb::module_::import_("numpy").attr("empty_like")); });
  return make(x, nb::arg("order") = "C", nb::arg("subok") = false);
}

// The bytes between the first and the last element of an array.
std::pair<const char*, const char*> extent_of(const Buffer& b) {
  const char* const first = b.data<const char>();
  if (b.bytes() == 0) return {first, first};
  const char* last = first;
  for (std::size_t axis = 0; axis < b.ndim(); ++axis) {
    last += static_cast<std::ptrdiff_t>(b.shape(axis) - 1) * b.stride(axis);
  }
  return {first, last + kFloatBytes};
}

void require_apart(nb::handle x, const Buffer& x_buffer, nb::handle out, const Buffer& out_buffer,
                   const char* name) {
  const auto [x_begin, x_end] = extent_of(x_buffer);
  const auto [out_begin, out_end] = extent_of(out_buffer);
  if (x_begin >= out_end || out_begin >= x_end || !share_memory(x, out)) return;
  throw InvalidArgument(std::string("out: it overlaps ") + name);
}

// What a call of a kernel says beside its operands.
struct CallOptions {
  int threads;  // as resolve_threads
  const MaybeBackend& backend;
};

// Calls work(range) for parts of `count` rows or values of x on as many threads as the values of x
// pay for.
template <class Work>
void share_out(std::size_t count, const Rows& x, const CallOptions& options, const Work& work) {
  constexpr double kValuesPerThread = 65536;
  const double values = static_cast<double>(x.count) * static_cast<double>(x.length);
  const int threads =
      useful_threads(values, kValuesPerThread, count, resolve_threads(options.threads));
  if (threads <= 1) return work(Range{0, count});
  parallel(threads, [&](const Team& team) {
    const BackendOfCall scope(options.backend);
    work(share(count, team.index(), team.size()));
  });
}

// Work on rows of x and as many of y.
template <class Work>
nb::object on_rows(nb::handle object, nb::handle out, const CallOptions& options,
                   double work_per_value, const Work& work) {
  Rows x{"x"};
  take_rows(x, object, Access::read);
  nb::object result = out_like(object, out);
  Rows y{"out"};
  take_rows(y, result, Access::write);
  if (!same_shape(x.buffer, y.buffer)) {
    throw InvalidArgument("out: expected shape " + shape_text(x.buffer) + ", found " +
                          shape_text(y.buffer));
  }
  const bool in_place = x.row(0) == y.row(0) && x.stride == y.stride;
  if (!in_place) require_apart(object, x.buffer, result, y.buffer, "x");
  const BackendOfCall scope(options.backend);
  const ReleaseGil release(work_per_value * static_cast<double>(x.count * x.length));
  work(x, y);
  return result;
}

template <void (*kernel)(const float*, float*, std::size_t)>
nb::object elementwise(nb::handle x, nb::handle out, int threads, const MaybeBackend& backend) {
  constexpr double kWork = 20;
  const CallOptions options{threads, backend};
  return on_rows(x, out, options, kWork, [&](const Rows& from, const Rows& to) {
    if (from.stride == from.length && to.stride == to.length) {
      return share_out(from.count * from.length, from, options, [&](Range values) {
        kernel(from.row(0) + values.begin, to.row(0) + values.begin, values.size());
      });
    }
    share_out(from.count, from, options, [&](Range rows) {
      for (std::size_t i = rows.begin; i < rows.end; ++i) {
        kernel(from.row(i), to.row(i), from.length);
      }
    });
  });
}

template <void (*kernel)(std::size_t, std::size_t, const float*, std::size_t, float*, std::size_t)>
nb::object softmax_of_rows(nb::handle x, nb::handle out, int threads, const MaybeBackend& backend) {
  constexpr double kWork = 40;
  const CallOptions options{threads, backend};
  return on_rows(x, out, options, kWork, [&](const Rows& from, const Rows& to) {
    share_out(from.count, from, options, [&](Range rows) {
      kernel(rows.size(), from.length, from.row(rows.begin), from.stride, to.row(rows.begin),
             to.stride);
    });
  });
}

nb::tuple cross_entropy(nb::handle logits, nb::handle labels, nb::handle out, int threads,
                        const MaybeBackend& backend) {
  Buffer integers;
  take_integers(integers, labels, "labels");
  const std::vector<int> classes = to_ints(integers, "labels");
  std::vector<double> losses(classes.size());
  std::atomic<std::size_t> correct = 0;
  constexpr double kWork = 40;
  const CallOptions options{threads, backend};
  nb::object gradient = on_rows(logits, out, options, kWork, [&](const Rows& x, const Rows& g) {
    if (x.count != classes.size()) {
      throw InvalidArgument("labels: expected one for each of " + std::to_string(x.count) +
                            " rows, found " + std::to_string(classes.size()));
    }
    share_out(x.count, x, options, [&](Range rows) {
      correct += softmax_cross_entropy(rows.size(), x.length, x.row(rows.begin), x.stride,
                                       classes.data() + rows.begin, g.row(rows.begin), g.stride,
                                       losses.data() + rows.begin);
    });
  });
  return nb::make_tuple(double_array(losses), gradient, correct.load());
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
  const auto* const data = b.data<const float>();
  if (b.bytes() == 0) return {data, rows, cols};
  if (strides_fit(1, 0)) return {data, rows, cols, stride_of(1, 0)};
  if (strides_fit(0, 1)) return ConstMatrixView(data, cols, rows, stride_of(0, 1)).transposed();
  throw InvalidArgument(std::string(what) +
                        ": expected a matrix whose rows or columns are each contiguous; "
                        "numpy.ascontiguousarray makes one");
}

nb::object multiply(nb::handle a, nb::handle b, nb::handle out, float alpha, float beta,
                    int threads, const MaybeBackend& backend) {
  Buffer a_buffer;
  Buffer b_buffer;
  take_in_place(a_buffer, a, "a", Access::read);
  take_in_place(b_buffer, b, "b", Access::read);
  const ConstMatrixView a_view = matrix_of(a_buffer, "a");
  const ConstMatrixView b_view = matrix_of(b_buffer, "b");
  if (a_view.cols != b_view.rows) {
    throw InvalidArgument("gemm: expected as many columns of a as rows of b, found shapes " +
                          shape_text(a_buffer) + " and " + shape_text(b_buffer));
  }
  if (out.is_none() && beta != 0) throw InvalidArgument("beta: there is no `out` to add to");
  nb::object result = out.is_none() ? new_floats({a_view.rows, b_view.cols}) : nb::borrow(out);
  Buffer c_buffer;
  take_in_place(c_buffer, result, "out", Access::write);
  const ConstMatrixView c_view = matrix_of(c_buffer, "out");
  if (c_view.rows != a_view.rows || c_view.cols != b_view.cols) {
    throw InvalidArgument("out: expected shape (" + std::to_string(a_view.rows) + ", " +
                          std::to_string(b_view.cols) + "), found " + shape_text(c_buffer));
  }
  if (c_view.transpose == Transpose::yes) {
    throw InvalidArgument("out: expected a matrix whose rows are each contiguous");
  }
  require_apart(a, a_buffer, result, c_buffer, "a");
  require_apart(b, b_buffer, result, c_buffer, "b");
  const MatrixView c(c_buffer.data<float>(), c_view.rows, c_view.cols, c_view.stride);
  const BackendOfCall scope(backend);
  const ReleaseGil release(static_cast<double>(c.rows) * static_cast<double>(c.cols) *
                           static_cast<double>(a_view.cols));
  gemm(a_view, b_view, c, {.alpha = alpha, .beta = beta, .threads = threads});
  return result;
}

constexpr const char* kOut = ", out: numpy.ndarray | None = None";
constexpr const char* kThreads = ", threads: int = 0";
constexpr const char* kBackend = ", backend: str | None = None) -> ";

void bind_elementwise(nb::module_& m) {
  using namespace nb::literals;
  const auto def = [&](const std::string& name, auto function, const char* doc) {
    const std::string signature =
        "def " + name + "(x: numpy.ndarray" + kOut + ", *" + kThreads + kBackend + "numpy.ndarray";
    m.def(name.c_str(), function, "x"_a, "out"_a = nb::none(), nb::kw_only(), "threads"_a = 0,
          "backend"_a = nb::none(), nb::sig(signature.c_str()), doc);
  };
  def("tanh", elementwise<&lockstep::tanh>,
      "Hyperbolic tangent of an array of any shape, within 1.5 units in the last place.");
  def("exp", elementwise<&lockstep::exp>,
      "e to the power of x, of any shape, within 1 unit in the last place.");
  def("sigmoid", elementwise<&lockstep::sigmoid>,
      "1 / (1 + exp(-x)) of an array of any shape, within 3 units in the last place.");
  def("relu", elementwise<&lockstep::relu>, "x, of any shape, and 0 where it is negative.");
  def("softmax", softmax_of_rows<&lockstep::softmax>, "Softmax along the last axis.");
  def("log_softmax", softmax_of_rows<&lockstep::log_softmax>,
      "Logarithm of the softmax along the last axis.");
}

}  // namespace

void bind_kernels(nb::module_& m) {
  using namespace nb::literals;
  bind_elementwise(m);
  const std::string of_loss = std::string("def cross_entropy(logits: numpy.ndarray, labels: ") +
                              "typing.Any" + kOut + ", *" + kThreads + kBackend +
                              "tuple[numpy.ndarray, numpy.ndarray, int]";
  m.def("cross_entropy", cross_entropy, "logits"_a, "labels"_a, "out"_a = nb::none(), nb::kw_only(),
        "threads"_a = 0, "backend"_a = nb::none(), nb::sig(of_loss.c_str()),
        R"(Cross-entropy of the softmax of each row and the label of its class.

logits [rows, classes], labels [rows] of whole numbers below `classes`. Returns the losses [rows] in
float64, the gradient of their sum by the logits, which goes to `out`, and the number of rows whose
largest logit is at their label.)");
  const std::string of_gemm = std::string("def gemm(a: numpy.ndarray, b: numpy.ndarray") + kOut +
                              ", *, alpha: float = 1.0, beta: float = 0.0" + kThreads + kBackend +
                              "numpy.ndarray";
  m.def("gemm", multiply, "a"_a, "b"_a, "out"_a = nb::none(), nb::kw_only(), "alpha"_a = 1.0f,
        "beta"_a = 0.0f, "threads"_a = 0, "backend"_a = nb::none(), nb::sig(of_gemm.c_str()),
        R"(The product `alpha * a @ b + beta * out` of matrices [m, k] and [k, n].

Transposes and views whose rows or columns are each contiguous are read where they are. `threads` of
0 are those of `lockstep.threads()`. ValueError where shapes do not fit, and for a `beta` without
`out` or an `out` that shares memory with a or b.)");
}

}  // namespace lockstep::python
