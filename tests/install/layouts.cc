// Prints the layout of every public type as assertions; with SAME_LAYOUTS they are compiled, under
// other options.
#include <lockstep/kernels.h>
#include <lockstep/lockstep.h>
#include <lockstep/rnn.h>

#include <iostream>

using namespace lockstep;

#ifdef SAME_LAYOUTS
#include "layouts.h"
int main() {}
#else
#define PRINT(type)                                                  \
  std::cout << "static_assert(sizeof(" #type ") == " << sizeof(type) \
            << " && alignof(" #type ") == " << alignof(type) << ");\n"
int main() {
  PRINT(AlignedVector<float>);
  PRINT(BackendInfo);
  PRINT(InvalidArgument);
  PRINT(MatrixView);
  PRINT(GemmOptions);
  PRINT(GemmPlan);
  PRINT(PackedMatrix);
  PRINT(PackedGemm);
  PRINT(PackedGemmPlan);
  PRINT(CrossEntropy);
  PRINT(ThreadChoice);
  PRINT(Team);
  PRINT(Range);
  PRINT(FlushDenormals);
  PRINT(TrainTest);
  PRINT(BuiltinInfo);
  PRINT(DataError);
  PRINT(Dataset);
  PRINT(ReferenceGradients);
  PRINT(GradientError);
  PRINT(Evaluation);
  PRINT(Layer);
  PRINT(Network);
  PRINT(Tensor);
  PRINT(Parameters);
  PRINT(Normalization);
  PRINT(Model);
  PRINT(FitObserver);
  PRINT(FitResult);
  PRINT(ValidationSplit);
  PRINT(ModelFileError);
  PRINT(Philox);
  PRINT(Random);
  PRINT(KeyedRandom);
  PRINT(Stream);
  PRINT(Options);
  PRINT(OptionInfo);
  PRINT(EpochResult);
  PRINT(BatchProgress);
  PRINT(Trainer);
  PRINT(lockstep_backend);
  PRINT(lockstep_dataset_info);
  PRINT(lockstep_model_info);
  PRINT(lockstep_epoch);
  PRINT(lockstep_training);
}
#endif
