#pragma once

#include "lockstep/lockstep.h"

namespace lockstep {

// A handle of the C functions that frees itself.
template <class Handle, void (*Free)(Handle*)>
class Owner {
 public:
  Owner() = default;
  ~Owner() { Free(handle_); }
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;
  operator Handle*() const { return handle_; }  // NOLINT(google-explicit-constructor)
  Handle** operator&() { return &handle_; }     // NOLINT(google-runtime-operator)

 private:
  Handle* handle_ = nullptr;
};
using OwnedDataset = Owner<lockstep_dataset, lockstep_dataset_free>;
using OwnedModel = Owner<lockstep_model, lockstep_model_free>;
using OwnedOptions = Owner<lockstep_options, lockstep_options_free>;
using OwnedPlan = Owner<lockstep_gemm_plan, lockstep_gemm_plan_free>;
using OwnedPacked = Owner<lockstep_packed_matrix, lockstep_packed_matrix_free>;

}  // namespace lockstep
