// oneDNN, compiled once against version 2 and once against version 3.
//
// Its best honest setting: primitives and their memory are made beforehand; packed weights are in
// the layout that the library asks for and the conversion is not timed, not even in training, where
// a program would repeat it after every update. The state before the first step is given as zeros:
// where it is left out, versions 2.6.3 and 3.14 return a wrong gradient of the recurrent weights.
#include <omp.h>

#include <algorithm>
#include <oneapi/dnnl/dnnl.hpp>
#include <ranges>
#include <span>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "peers/peer.h"
#include "problems.h"

namespace lockstep::bench {
namespace {

using dnnl::algorithm;
using dnnl::memory;
using dnnl::prop_kind;
using Tag = memory::format_tag;
using Arguments = std::unordered_map<int, memory>;

#if DNNL_VERSION_MAJOR >= 3
constexpr bool kIsVersion3 = true;
#else
constexpr bool kIsVersion3 = false;
#endif

// What changed between the versions, in one place: operation descriptors are gone.
template <class Primitive, class... Parameters>
auto describe(const dnnl::engine& engine, const Parameters&... parameters) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine, parameters...);
#else
  return typename Primitive::primitive_desc(typename Primitive::desc(parameters...), engine);
#endif
}

auto describe_matmul(const dnnl::engine& engine, const memory::desc& a, const memory::desc& b,
                     const memory::desc& c, const dnnl::primitive_attr& attributes) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl::matmul::primitive_desc(engine, a, b, c, attributes);
#else
  return dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, b, c), attributes, engine);
#endif
}

algorithm eltwise_algorithm(Kernel function) {
  return function == Kernel::tanh      ? algorithm::eltwise_tanh
         : function == Kernel::exp     ? algorithm::eltwise_exp
         : function == Kernel::sigmoid ? algorithm::eltwise_logistic
                                       : algorithm::eltwise_relu;
}

auto describe_eltwise(const dnnl::engine& engine, algorithm function, const memory::desc& x) {
#if DNNL_VERSION_MAJOR >= 3
  return describe<dnnl::eltwise_forward>(engine, prop_kind::forward_inference, function, x, x);
#else
  return describe<dnnl::eltwise_forward>(engine, prop_kind::forward_inference, function, x, 0.0f,
                                         0.0f);
#endif
}

// Version 2.6 knows both as version 3 does, but under another name.
auto describe_softmax(const dnnl::engine& engine, algorithm kind, const memory::desc& x) {
#if DNNL_VERSION_MAJOR >= 3
  return describe<dnnl::softmax_forward>(engine, prop_kind::forward_inference, kind, x, x, 1);
#else
  return describe<dnnl::softmax_v2_forward>(engine, prop_kind::forward_inference, kind, x, x, 1);
#endif
}

memory::dim size(std::size_t n) { return static_cast<memory::dim>(n); }

memory::desc floats(const memory::dims& dims, Tag tag) {
  return {dims, memory::data_type::f32, tag};
}

memory::desc strided(const memory::dims& dims, const memory::dims& strides) {
  return {dims, memory::data_type::f32, strides};
}

struct Device {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};

  // Memory of the library's own, zero.
  [[nodiscard]] memory make(const memory::desc& desc) const {
    memory m(desc, engine);
    if (desc.get_size() > 0) {
      std::fill_n(static_cast<char*>(m.get_data_handle()), desc.get_size(), char{0});
    }
    return m;
  }
  [[nodiscard]] memory wrap(const memory::desc& desc, const float* data) const {
    return {desc, engine, const_cast<float*>(data)};
  }
  void convert(memory from, memory to) {
    dnnl::reorder(from, to).execute(stream, from, to);
    stream.wait();
  }
};

// The library's cells. Its gates stand in another order than Lockstep's sums: `kBias`, `kInputs`
// and `kStates` have the place of each gate among these. Each order is its own inverse.
struct VanillaCell {
  using Forward = dnnl::vanilla_rnn_forward;
  using Backward = dnnl::vanilla_rnn_backward;
  static constexpr bool kHasC = false;
  static constexpr std::size_t kBias[] = {0}, kInputs[] = {0}, kStates[] = {0};
  static auto activation() { return std::tuple(algorithm::eltwise_tanh); }
};
struct LstmCell {
  using Forward = dnnl::lstm_forward;
  using Backward = dnnl::lstm_backward;
  static constexpr bool kHasC = true;
  static constexpr std::size_t kBias[] = {0, 1, 2, 3}, kInputs[] = {0, 1, 2, 3},
                               kStates[] = {0, 1, 2, 3};
  static auto activation() { return std::tuple(); }
};
struct GruCell {
  using Forward = dnnl::lbr_gru_forward;
  using Backward = dnnl::lbr_gru_backward;
  static constexpr bool kHasC = false;
  static constexpr std::size_t kBias[] = {2, 1, 0, 3}, kInputs[] = {2, 1, 0}, kStates[] = {1, 0, 2};
  static auto activation() { return std::tuple(); }
};

// A matrix with `units` columns for each gate, and these in another order.
std::vector<float> with_gates(std::span<const float> values, std::span<const std::size_t> order,
                              std::size_t units) {
  std::vector<float> result;
  const std::size_t columns = order.size() * units;
  for (std::size_t row = 0; row < values.size(); row += columns) {
    for (const std::size_t gate : order) {
      const auto part = values.subspan(row + gate * units, units);
      result.insert(result.end(), part.begin(), part.end());
    }
  }
  return result;
}

// A tensor as the library and as Lockstep have it.
struct Weights {
  Weights(const Parameters& parameters, const std::string& name, std::span<const std::size_t> gates,
          std::size_t hidden)
      : order(gates),
        units(hidden),
        offset(static_cast<std::size_t>(parameters[name].data() - parameters.values().data())),
        values(with_gates(parameters[name], order, units)) {
    const memory::dim rows = size(values.size() / (order.size() * units));
    const memory::dims weights = {1, 1, rows, size(order.size()), size(units)};
    const bool is_bias = name.starts_with("rnn.bias");
    plain = is_bias ? floats({1, 1, size(order.size()), size(units)}, Tag::ldgo)
                    : floats(weights, Tag::ldigo);
    any = is_bias ? plain : floats(weights, Tag::any);
  }

  [[nodiscard]] memory packed(Device& device, const memory::desc& wanted) const {
    memory result = device.make(wanted);
    device.convert(device.wrap(plain, values.data()), result);
    return result;
  }
  // Puts a gradient in the place of the tensor among the parameters.
  void unpack(Device& device, const memory& gradient, std::vector<float>& all) const {
    std::vector<float> found(values.size());
    device.convert(gradient, device.wrap(plain, found.data()));
    std::ranges::copy(with_gates(found, order, units),
                      all.begin() + static_cast<std::ptrdiff_t>(offset));
  }

  std::span<const std::size_t> order;
  std::size_t units, offset;
  std::vector<float> values;
  memory::desc plain, any;
};

// One layer over a minibatch. Sequences that end early go on over zeros, as the library has no
// other way; what they are asked for is still of their own last timestep.
template <class Cell>
class Layer {
 public:
  Layer(Device& device, const RnnProblem& p, std::size_t number, memory inputs, bool training)
      : device_(device),
        inputs_(std::move(inputs)),
        bias_(p.parameters, "rnn.bias_ih_l" + std::to_string(number), Cell::kBias, p.shape.h),
        wx_(p.parameters, "rnn.weight_ih_l" + std::to_string(number), Cell::kInputs, p.shape.h),
        wh_(p.parameters, "rnn.weight_hh_l" + std::to_string(number), Cell::kStates, p.shape.h),
        forward_desc_(describe_forward(p.shape, training)),
        forward_(forward_desc_),
        states_(device.make(forward_desc_.dst_layer_desc())) {
    forward_arguments_ = operands(forward_desc_);
    if (!training) return;
    workspace_ = device.make(forward_desc_.workspace_desc());
    forward_arguments_.insert({DNNL_ARG_WORKSPACE, workspace_});
  }

  // With the gradients of the states, which this layer goes back from.
  void prepare_backward(const RnnBenchShape& s, const memory& deltas) {
    const auto desc = describe_backward(s);
    backward_ = typename Cell::Backward(desc);
    input_deltas_ = device_.make(desc.diff_src_layer_desc());
    wx_gradient_ = device_.make(desc.diff_weights_layer_desc());
    wh_gradient_ = device_.make(desc.diff_weights_iter_desc());
    bias_gradient_ = device_.make(desc.diff_bias_desc());
    backward_arguments_ = operands(desc);
    backward_arguments_.insert({{DNNL_ARG_WORKSPACE, workspace_},
                                {DNNL_ARG_DIFF_SRC_LAYER, input_deltas_},
                                {DNNL_ARG_DIFF_SRC_ITER, device_.make(desc.diff_src_iter_desc())},
                                {DNNL_ARG_DIFF_WEIGHTS_LAYER, wx_gradient_},
                                {DNNL_ARG_DIFF_WEIGHTS_ITER, wh_gradient_},
                                {DNNL_ARG_DIFF_BIAS, bias_gradient_},
                                {DNNL_ARG_DIFF_DST_LAYER, deltas}});
    if constexpr (Cell::kHasC) {
      backward_arguments_.insert(
          {DNNL_ARG_DIFF_SRC_ITER_C, device_.make(desc.diff_src_iter_c_desc())});
    }
  }

  void forward() { forward_.execute(device_.stream, forward_arguments_); }
  void backward() { backward_.execute(device_.stream, backward_arguments_); }

  [[nodiscard]] const memory& states() const { return states_; }
  [[nodiscard]] const memory& input_deltas() const { return input_deltas_; }
  void unpack_gradients(std::vector<float>& all) const {
    bias_.unpack(device_, bias_gradient_, all);
    wx_.unpack(device_, wx_gradient_, all);
    wh_.unpack(device_, wh_gradient_, all);
  }

 private:
  // Of h, and of c where there is one.
  static auto of_states(const memory::desc& desc) {
    if constexpr (Cell::kHasC) {
      return std::tuple(desc, desc);
    } else {
      return std::tuple(desc);
    }
  }
  auto describe_tensors(const RnnBenchShape& s) const {
    const memory::desc first = floats({1, 1, size(s.n), size(s.h)}, Tag::ldnc);
    const memory::desc h = floats({size(s.t), size(s.n), size(s.h)}, Tag::tnc);
    return std::tuple_cat(std::tuple(inputs_.get_desc()), of_states(first),
                          std::tuple(wx_.any, wh_.any, bias_.any, h), of_states(memory::desc()));
  }
  static auto kind(prop_kind pass) {
    return std::tuple_cat(std::tuple(pass), Cell::activation(),
                          std::tuple(dnnl::rnn_direction::unidirectional_left2right));
  }

  auto describe_forward(const RnnBenchShape& s, bool training) const {
    return std::apply(
        [&](const auto&... parameters) {
          return describe<typename Cell::Forward>(device_.engine, parameters...);
        },
        std::tuple_cat(kind(training ? prop_kind::forward_training : prop_kind::forward_inference),
                       describe_tensors(s)));
  }
  auto describe_backward(const RnnBenchShape& s) const {
    return std::apply(
        [&](const auto&... parameters) {
#if DNNL_VERSION_MAJOR >= 3
          return
              typename Cell::Backward::primitive_desc(device_.engine, parameters..., forward_desc_);
#else
          return typename Cell::Backward::primitive_desc(
              typename Cell::Backward::desc(parameters...), device_.engine, forward_desc_);
#endif
        },
        std::tuple_cat(kind(prop_kind::backward), describe_tensors(s), describe_tensors(s)));
  }

  // What both passes take, the weights as `desc` wants them.
  Arguments operands(const auto& desc) {
    Arguments arguments = {{DNNL_ARG_SRC_LAYER, inputs_},
                           {DNNL_ARG_SRC_ITER, device_.make(desc.src_iter_desc())},
                           {DNNL_ARG_WEIGHTS_LAYER, wx_.packed(device_, desc.weights_layer_desc())},
                           {DNNL_ARG_WEIGHTS_ITER, wh_.packed(device_, desc.weights_iter_desc())},
                           {DNNL_ARG_BIAS, bias_.packed(device_, desc.bias_desc())},
                           {DNNL_ARG_DST_LAYER, states_}};
    if constexpr (Cell::kHasC) {
      arguments.insert({DNNL_ARG_SRC_ITER_C, device_.make(desc.src_iter_c_desc())});
    }
    return arguments;
  }

  Device& device_;
  memory inputs_;
  Weights bias_, wx_, wh_;
  typename Cell::Forward::primitive_desc forward_desc_;
  typename Cell::Forward forward_;
  typename Cell::Backward backward_;
  memory states_, workspace_, input_deltas_, wx_gradient_, wh_gradient_, bias_gradient_;
  Arguments forward_arguments_, backward_arguments_;
};

// Layers one upon the other, a primitive each: one for all takes layers of equal inputs only.
template <class Cell>
class Stack {
 public:
  Stack(const RnnProblem& p, bool training) : p_(p) {
    const RnnBenchShape& s = p.shape;
    memory inputs = inputs_of_problem();
    for (std::size_t l = 0; l < s.layers; ++l) {
      layers_.push_back(std::make_unique<Layer<Cell>>(device_, p, l, inputs, training));
      inputs = layers_.back()->states();
    }
    if (!training) return;
    memory deltas = deltas_of_problem();
    for (const auto& layer : std::views::reverse(layers_)) {
      layer->prepare_backward(s, deltas);
      deltas = layer->input_deltas();
    }
  }

  void forward() {
    for (const auto& layer : layers_) layer->forward();
    device_.stream.wait();
  }
  void backward() {
    for (const auto& layer : std::views::reverse(layers_)) layer->backward();
    device_.stream.wait();
  }

  [[nodiscard]] RnnResults states() {
    const RnnBenchShape& s = p_.shape;
    RnnResults results;
    const auto* h = static_cast<const float*>(layers_.back()->states().get_data_handle());
    for (std::size_t i = 0; i < s.n; ++i) {
      const float* last = h + last_row(i) * s.h;
      results.final_states.insert(results.final_states.end(), last, last + s.h);
    }
    return results;
  }

  // Gradients are added to those of earlier runs, so only the first run's are right.
  [[nodiscard]] RnnResults gradients() {
    RnnResults results;
    results.gradient.resize(p_.gradient.size());
    for (const auto& layer : layers_) layer->unpack_gradients(results.gradient);
    return results;
  }

 private:
  [[nodiscard]] std::size_t last_row(std::size_t sequence) const {
    return (sequence_length(p_.shape, sequence) - 1) * p_.shape.n + sequence;
  }

  // [T][N][columns]
  [[nodiscard]] memory rows(std::size_t columns) const {
    return device_.make(floats({size(p_.shape.t), size(p_.shape.n), size(columns)}, Tag::tnc));
  }

  [[nodiscard]] memory inputs_of_problem() const {
    const RnnBenchShape& s = p_.shape;
    memory inputs = rows(s.d);
    auto* x = static_cast<float*>(inputs.get_data_handle());
    for (std::size_t i = 0; i < s.n; ++i) {
      const std::span<const float> sequence = p_.data.sequence(i);
      for (std::size_t t = 0; t < sequence.size() / s.d; ++t) {
        std::copy_n(sequence.data() + t * s.d, s.d, x + (t * s.n + i) * s.d);
      }
    }
    return inputs;
  }

  [[nodiscard]] memory deltas_of_problem() const {
    const RnnBenchShape& s = p_.shape;
    memory deltas = rows(s.h);
    auto* d = static_cast<float*>(deltas.get_data_handle());
    for (std::size_t i = 0; i < s.n; ++i) {
      std::copy_n(p_.final_deltas.data() + i * s.h, s.h, d + last_row(i) * s.h);
    }
    return deltas;
  }

  const RnnProblem& p_;
  Device device_;
  std::vector<std::unique_ptr<Layer<Cell>>> layers_;
};

template <class Cell>
RnnTask network_task(Kernel pass, const RnnProblem& problem) {
  const auto stack = std::make_shared<Stack<Cell>>(problem, pass != Kernel::rnn_forward);
  if (pass == Kernel::rnn_forward) {
    return {[stack] { stack->forward(); }, [stack] { return stack->states(); }};
  }
  if (pass == Kernel::rnn_backward) {
    stack->forward();
    return {[stack] { stack->backward(); }, [stack] { return stack->gradients(); }};
  }
  return {[stack] {
            stack->forward();
            stack->backward();
          },
          [stack] { return stack->gradients(); }};
}

// A primitive with its arguments.
struct Call {
  dnnl::stream stream;
  dnnl::primitive primitive;
  Arguments arguments;

  void run() {
    primitive.execute(stream, arguments);
    stream.wait();
  }
};

// A product of one shape, made once for all operands that it is called with.
struct Matmul {
  Matmul(const dnnl::engine& engine, Kernel layout, const GemmOperands& o)
      : a(strided({size(o.m), size(o.k)}, layout == Kernel::gemm_tn
                                              ? memory::dims{1, size(o.lda)}
                                              : memory::dims{size(o.lda), 1})),
        b(strided({size(o.k), size(o.n)}, {size(o.ldb), 1})),
        c(strided({size(o.m), size(o.n)}, {size(o.ldc), 1})) {
    dnnl::primitive_attr attributes;
    if (layout == Kernel::gemm_tn) {
      dnnl::post_ops accumulate;
      accumulate.append_sum(1.0f);
      attributes.set_post_ops(accumulate);
    }
    const bool packed = layout == Kernel::gemm_packed;
    const auto desc = describe_matmul(
        engine, a, packed ? floats({size(o.k), size(o.n)}, Tag::any) : b, c, attributes);
    weights = desc.weights_desc();
    primitive = dnnl::matmul(desc);
  }

  memory::desc a, b, c;
  memory::desc weights;  // as the primitive wants them
  dnnl::matmul primitive;
};

class OneDnn : public Contender {
 public:
  [[nodiscard]] std::string name() const override { return kIsVersion3 ? "onednn3" : "onednn2"; }
  [[nodiscard]] std::string about() const override {
    const dnnl::version_t* v = dnnl::version();
    return std::to_string(v->major) + "." + std::to_string(v->minor) + "." +
           std::to_string(v->patch);
  }
  // Of the ISA it may use at most; 0 where it names none, as on AArch64.
  [[nodiscard]] std::size_t lanes() const override {
    const auto isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
    const auto has = [&](dnnl::cpu_isa least) {
      const auto bits = static_cast<unsigned>(least);
      return (isa & bits) == bits;
    };
    if (isa == 0) return 0;
    return has(dnnl::cpu_isa::avx512_core) ? 16 : has(dnnl::cpu_isa::avx2) ? 8 : 4;
  }
  [[nodiscard]] bool computes_input_gradient() const override { return true; }
  [[nodiscard]] bool has_network(const RnnBenchShape& shape) const override {
    return !shape.bidirectional;
  }
  [[nodiscard]] bool offers(Kernel kernel, int threads) const override {
    switch (kernel) {
      case Kernel::gemm:
      case Kernel::gemm_packed:
      case Kernel::rnn_forward:
      case Kernel::rnn_backward:
      case Kernel::rnn_train:
        return true;
      case Kernel::gemm_tn:
      case Kernel::tanh:
      case Kernel::exp:
      case Kernel::sigmoid:
      case Kernel::relu:
      case Kernel::softmax:
      case Kernel::log_softmax:
        return threads == 1;
      default:
        return false;
    }
  }

  Task gemm(Kernel layout, const GemmOperands& o, int threads) override {
    omp_set_num_threads(threads);
    const Matmul& matmul = matmul_of(layout, o, threads);
    memory weights = device_.wrap(matmul.b, o.b);
    if (layout == Kernel::gemm_packed) {
      const memory plain = weights;
      weights = device_.make(matmul.weights);
      device_.convert(plain, weights);
    }
    return task(matmul.primitive, {{DNNL_ARG_SRC, device_.wrap(matmul.a, o.a)},
                                   {DNNL_ARG_WEIGHTS, weights},
                                   {DNNL_ARG_DST, device_.wrap(matmul.c, o.c)}});
  }

  Task elementwise(Kernel function, const float* x, float* y, std::size_t n) override {
    omp_set_num_threads(1);
    const memory::desc desc = floats({size(n)}, Tag::a);
    const dnnl::eltwise_forward primitive(
        describe_eltwise(device_.engine, eltwise_algorithm(function), desc));
    return task(primitive,
                {{DNNL_ARG_SRC, device_.wrap(desc, x)}, {DNNL_ARG_DST, device_.wrap(desc, y)}});
  }

  Task softmax(Kernel kind, const RowsOperands& o) override {
    omp_set_num_threads(1);
    const memory::desc desc = floats({size(o.rows), size(o.cols)}, Tag::ab);
    const algorithm algorithm_of =
        kind == Kernel::softmax ? algorithm::softmax_accurate : algorithm::softmax_log;
    const auto desc_of = describe_softmax(device_.engine, algorithm_of, desc);
    const dnnl::primitive primitive(desc_of.get());
    return task(primitive,
                {{DNNL_ARG_SRC, device_.wrap(desc, o.x)}, {DNNL_ARG_DST, device_.wrap(desc, o.y)}});
  }

  RnnTask rnn(Kernel pass, const RnnProblem& problem, int threads) override {
    omp_set_num_threads(threads);
    const std::string_view cell = problem.shape.cell;
    return cell == "lstm"  ? network_task<LstmCell>(pass, problem)
           : cell == "gru" ? network_task<GruCell>(pass, problem)
                           : network_task<VanillaCell>(pass, problem);
  }

 private:
  Task task(const dnnl::primitive& primitive, const Arguments& arguments) {
    const auto call = std::make_shared<Call>(Call{device_.stream, primitive, arguments});
    return [call] { call->run(); };
  }

  // The last one is kept: cold cases make thousands of tasks of one shape.
  const Matmul& matmul_of(Kernel layout, const GemmOperands& o, int threads) {
    const Key key{layout, o.m, o.n, o.k, o.lda, o.ldb, o.ldc, threads};
    if (matmul_ == nullptr || key != key_) {
      matmul_ = std::make_unique<Matmul>(device_.engine, layout, o);
      key_ = key;
    }
    return *matmul_;
  }

  using Key = std::tuple<Kernel, std::size_t, std::size_t, std::size_t, std::size_t, std::size_t,
                         std::size_t, int>;
  Device device_;
  Key key_;
  std::unique_ptr<Matmul> matmul_;
};

}  // namespace
}  // namespace lockstep::bench

void lockstep_add_peers(lockstep::bench::Contenders& contenders,
                        const lockstep::bench::PeerOptions&) {
  contenders.push_back(std::make_unique<lockstep::bench::OneDnn>());
}
