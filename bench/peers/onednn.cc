// oneDNN, compiled once against version 2 and once against version 3.
//
// Its best honest setting: primitives and their memory are made beforehand; packed weights are in
// the layout that the library asks for and the conversion is not timed, not even in training, where
// a program would repeat it after every update. The state before the first step is given as zeros:
// where it is left out, versions 2.6.3 and 3.14 return a wrong gradient of the recurrent weights.
#include <omp.h>

#include <algorithm>
#include <oneapi/dnnl/dnnl.hpp>
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

// One vanilla RNN layer over a minibatch. Sequences that end early go on over zeros, as the library
// has no other way; what they are asked for is still of their own last timestep.
class Layer {
 public:
  Layer(const RnnProblem& p, bool training) : p_(p), training_(training) {
    const RnnBenchShape& s = p.shape;
    const memory::dims x = {size(s.t), size(s.n), size(s.d)};
    const memory::dims h = {size(s.t), size(s.n), size(s.h)};
    const memory::dims wx = {1, 1, size(s.d), 1, size(s.h)};
    const memory::dims wh = {1, 1, size(s.h), 1, size(s.h)};
    const memory::dims bias = {1, 1, 1, size(s.h)};
    plain_wx_ = floats(wx, Tag::ldigo);
    plain_wh_ = floats(wh, Tag::ldigo);
    const memory::desc x_desc = floats(x, Tag::tnc);
    const memory::desc h_desc = floats(h, Tag::tnc);
    const memory::desc any_wx = floats(wx, Tag::any);
    const memory::desc any_wh = floats(wh, Tag::any);
    const memory::desc bias_desc = floats(bias, Tag::ldgo);
    const memory::desc first = floats({1, 1, size(s.n), size(s.h)}, Tag::ldnc);
    forward_desc_ = describe<dnnl::vanilla_rnn_forward>(
        device_.engine, training ? prop_kind::forward_training : prop_kind::forward_inference,
        algorithm::eltwise_tanh, dnnl::rnn_direction::unidirectional_left2right, x_desc, first,
        any_wx, any_wh, bias_desc, h_desc, memory::desc());
    prepare_forward();
    if (!training) return;
    const auto describe_backward = [&](const auto&... parameters) {
#if DNNL_VERSION_MAJOR >= 3
      return dnnl::vanilla_rnn_backward::primitive_desc(device_.engine, parameters...,
                                                        forward_desc_);
#else
      return dnnl::vanilla_rnn_backward::primitive_desc(
          dnnl::vanilla_rnn_backward::desc(parameters...), device_.engine, forward_desc_);
#endif
    };
    backward_desc_ = describe_backward(
        prop_kind::backward, algorithm::eltwise_tanh,
        dnnl::rnn_direction::unidirectional_left2right, x_desc, first, any_wx, any_wh, bias_desc,
        h_desc, memory::desc(), x_desc, first, any_wx, any_wh, bias_desc, h_desc, memory::desc());
    prepare_backward();
  }

  void forward() {
    forward_.execute(device_.stream, forward_arguments_);
    device_.stream.wait();
  }
  void backward() {
    backward_.execute(device_.stream, backward_arguments_);
    device_.stream.wait();
  }

  [[nodiscard]] RnnResults states() {
    const RnnBenchShape& s = p_.shape;
    RnnResults results;
    const auto* h = static_cast<const float*>(states_.get_data_handle());
    for (std::size_t i = 0; i < s.n; ++i) {
      const float* last = h + last_row(i) * s.h;
      results.final_states.insert(results.final_states.end(), last, last + s.h);
    }
    return results;
  }

  // Gradients are added to those of earlier runs, so only the first run's are right.
  [[nodiscard]] RnnResults gradients() {
    const RnnBenchShape& s = p_.shape;
    RnnResults results;
    results.gradient.resize(p_.gradient.size());
    float* out = results.gradient.data();
    const auto* bias = static_cast<const float*>(bias_gradient_.get_data_handle());
    std::copy_n(bias, s.h, out);
    device_.convert(wx_gradient_, device_.wrap(plain_wx_, out + s.h));
    device_.convert(wh_gradient_, device_.wrap(plain_wh_, out + (1 + s.d) * s.h));
    return results;
  }

 private:
  [[nodiscard]] std::size_t last_row(std::size_t sequence) const {
    return (sequence_length(p_.shape, sequence) - 1) * p_.shape.n + sequence;
  }

  // By PyTorch's name.
  const float* weights(const std::string& name) { return p_.parameters["rnn." + name].data(); }

  memory packed(const memory::desc& wanted, const memory::desc& plain, const float* values) {
    memory result = device_.make(wanted);
    device_.convert(device_.wrap(plain, values), result);
    return result;
  }

  void prepare_forward() {
    const RnnBenchShape& s = p_.shape;
    inputs_ = device_.make(forward_desc_.src_layer_desc());
    auto* x = static_cast<float*>(inputs_.get_data_handle());
    for (std::size_t i = 0; i < s.n; ++i) {
      const std::span<const float> sequence = p_.data.sequence(i);
      for (std::size_t t = 0; t < sequence.size() / s.d; ++t) {
        std::copy_n(sequence.data() + t * s.d, s.d, x + (t * s.n + i) * s.d);
      }
    }
    states_ = device_.make(forward_desc_.dst_layer_desc());
    const memory bias = device_.wrap(forward_desc_.bias_desc(), weights("bias_ih_l0"));
    forward_ = dnnl::vanilla_rnn_forward(forward_desc_);
    forward_arguments_ = {{DNNL_ARG_SRC_LAYER, inputs_},
                          {DNNL_ARG_WEIGHTS_LAYER, packed(forward_desc_.weights_layer_desc(),
                                                          plain_wx_, weights("weight_ih_l0"))},
                          {DNNL_ARG_WEIGHTS_ITER, packed(forward_desc_.weights_iter_desc(),
                                                         plain_wh_, weights("weight_hh_l0"))},
                          {DNNL_ARG_BIAS, bias},
                          {DNNL_ARG_SRC_ITER, device_.make(forward_desc_.src_iter_desc())},
                          {DNNL_ARG_DST_LAYER, states_}};
    if (training_) {
      workspace_ = device_.make(forward_desc_.workspace_desc());
      forward_arguments_.insert({DNNL_ARG_WORKSPACE, workspace_});
    }
  }

  void prepare_backward() {
    const RnnBenchShape& s = p_.shape;
    const memory deltas = device_.make(backward_desc_.diff_dst_layer_desc());
    auto* d = static_cast<float*>(deltas.get_data_handle());
    for (std::size_t i = 0; i < s.n; ++i) {
      std::copy_n(p_.final_deltas.data() + i * s.h, s.h, d + last_row(i) * s.h);
    }
    wx_gradient_ = device_.make(backward_desc_.diff_weights_layer_desc());
    wh_gradient_ = device_.make(backward_desc_.diff_weights_iter_desc());
    bias_gradient_ = device_.make(backward_desc_.diff_bias_desc());
    backward_ = dnnl::vanilla_rnn_backward(backward_desc_);
    backward_arguments_ = {
        {DNNL_ARG_SRC_LAYER, inputs_},
        {DNNL_ARG_WEIGHTS_LAYER,
         packed(backward_desc_.weights_layer_desc(), plain_wx_, weights("weight_ih_l0"))},
        {DNNL_ARG_WEIGHTS_ITER,
         packed(backward_desc_.weights_iter_desc(), plain_wh_, weights("weight_hh_l0"))},
        {DNNL_ARG_BIAS, device_.wrap(backward_desc_.bias_desc(), weights("bias_ih_l0"))},
        {DNNL_ARG_DST_LAYER, states_},
        {DNNL_ARG_DIFF_SRC_LAYER, device_.make(backward_desc_.diff_src_layer_desc())},
        {DNNL_ARG_DIFF_WEIGHTS_LAYER, wx_gradient_},
        {DNNL_ARG_DIFF_WEIGHTS_ITER, wh_gradient_},
        {DNNL_ARG_DIFF_BIAS, bias_gradient_},
        {DNNL_ARG_SRC_ITER, device_.make(backward_desc_.src_iter_desc())},
        {DNNL_ARG_DIFF_SRC_ITER, device_.make(backward_desc_.diff_src_iter_desc())},
        {DNNL_ARG_DIFF_DST_LAYER, deltas},
        {DNNL_ARG_WORKSPACE, workspace_}};
  }

  const RnnProblem& p_;
  bool training_;
  Device device_;
  memory::desc plain_wx_, plain_wh_;
  dnnl::vanilla_rnn_forward::primitive_desc forward_desc_;
  dnnl::vanilla_rnn_backward::primitive_desc backward_desc_;
  dnnl::vanilla_rnn_forward forward_;
  dnnl::vanilla_rnn_backward backward_;
  Arguments forward_arguments_, backward_arguments_;
  memory inputs_, states_, workspace_, wx_gradient_, wh_gradient_, bias_gradient_;
};

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
  [[nodiscard]] bool computes_input_gradient() const override { return true; }
  [[nodiscard]] bool has_network(const RnnBenchShape& shape) const override {
    return shape.cell == "tanh";
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
    const auto layer = std::make_shared<Layer>(problem, pass != Kernel::rnn_forward);
    if (pass == Kernel::rnn_forward) {
      return {[layer] { layer->forward(); }, [layer] { return layer->states(); }};
    }
    if (pass == Kernel::rnn_backward) {
      layer->forward();
      return {[layer] { layer->backward(); }, [layer] { return layer->gradients(); }};
    }
    return {[layer] {
              layer->forward();
              layer->backward();
            },
            [layer] { return layer->gradients(); }};
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
