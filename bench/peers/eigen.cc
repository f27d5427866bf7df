#include <Eigen/Core>

#include "peers/elementwise_peer.h"

namespace lockstep::bench {
namespace {

using Input = Eigen::Map<const Eigen::ArrayXf>;
using Output = Eigen::Map<Eigen::ArrayXf>;

void tanh_array(const float* x, float* y, std::size_t n) {
  const auto size = static_cast<Eigen::Index>(n);
  Output(y, size) = Input(x, size).tanh();
}

void exp_array(const float* x, float* y, std::size_t n) {
  const auto size = static_cast<Eigen::Index>(n);
  Output(y, size) = Input(x, size).exp();
}

}  // namespace
}  // namespace lockstep::bench

void lockstep_add_peers(lockstep::bench::Contenders& contenders,
                        const lockstep::bench::PeerOptions& options) {
  using namespace lockstep::bench;
  const std::string version = std::to_string(EIGEN_WORLD_VERSION) + "." +
                              std::to_string(EIGEN_MAJOR_VERSION) + "." +
                              std::to_string(EIGEN_MINOR_VERSION);
  add_vector_peer(contenders, options, "eigen", version, tanh_array, exp_array);
}
