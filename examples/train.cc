// Training in C++: a classifier for sequences, tested on others and saved.
//   train [model file]
#include <lockstep/rnn.h>

#include <exception>
#include <iostream>

int main(int argc, char** argv) try {
  // Your own data: lockstep::read_dataset(file), or Dataset::add for each sequence.
  const auto [train, test] = lockstep::make_builtin_dataset("synthetic-control", /*seed=*/1);
  lockstep::Model model(train, {.hidden = 50, .epochs = 30});
  model.fit(train);
  std::cout << "accuracy on the test set: " << model.evaluate(test).accuracy << '\n';
  model.save(argc > 1 ? argv[1] : "model.safetensors");
} catch (const std::exception& error) {
  std::cerr << "train: " << error.what() << '\n';
  return 1;
}
