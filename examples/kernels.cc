// Kernels in C++: one layer of a network, softmax(X W), on the best instruction set of this CPU.
#include <lockstep/kernels.h>

#include <iostream>
#include <vector>

int main() {
  const std::size_t rows = 2;
  const std::size_t inputs = 3;
  const std::size_t classes = 2;
  const std::vector<float> x = {1, 2, 3, 4, 5, 6};
  const std::vector<float> w = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f};
  std::vector<float> y(rows * classes);

  lockstep::gemm({x.data(), rows, inputs}, {w.data(), inputs, classes}, {y.data(), rows, classes});
  lockstep::softmax(rows, classes, y.data(), classes, y.data(), classes);

  std::cout << "on " << lockstep::last_backend() << ":";
  for (const float p : y) std::cout << ' ' << p;
  std::cout << '\n';
}
