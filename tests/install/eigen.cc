// Eigen with its products done by BLAS: the polar factor of a matrix by Newton's iteration, which
// is products of matrices, and the largest singular value by power iteration, products with
// vectors.
#define EIGEN_USE_BLAS
#include <Eigen/Core>
#include <cmath>
#include <iostream>

int main() {
  constexpr Eigen::Index kSize = 96;
  using Matrix = Eigen::MatrixXf;
  Matrix a(kSize, kSize);
  for (Eigen::Index i = 0; i < kSize; ++i) {
    for (Eigen::Index j = 0; j < kSize; ++j) {
      a(i, j) = (i == j ? 4.0f : 0.0f) + std::sin(static_cast<float>(1 + 3 * i + 7 * i * j)) / 4;
    }
  }

  Eigen::VectorXf v = Eigen::VectorXf::Ones(kSize);
  for (int step = 0; step < 200; ++step) {
    const Eigen::VectorXf u = a * v;
    v.noalias() = a.transpose() * u;
    v /= v.norm();
  }
  const float largest = (a * v).norm();

  Matrix q = a / largest;
  for (int step = 0; step < 30; ++step) {
    const Matrix gram = q.transpose() * q;
    const Matrix next = 1.5f * q - 0.5f * q * gram;
    q = next;
  }
  const float error = (q.transpose() * q - Matrix::Identity(kSize, kSize)).cwiseAbs().maxCoeff();
  const Matrix h = q.transpose() * a;  // symmetric, with the largest eigenvalue
  const float asymmetry = (h - h.transpose()).cwiseAbs().maxCoeff();
  std::cout << "largest singular value " << largest << ", errors " << error << ' ' << asymmetry
            << '\n';
  const bool same_value = std::abs((h * v).norm() - largest) < 1e-4f * largest;
  return error < 1e-4f && asymmetry < 1e-3f && same_value ? 0 : 1;
}
