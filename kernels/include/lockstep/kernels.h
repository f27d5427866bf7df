/// @file
/// All of the compute kernels for C++.
#pragma once

#include "lockstep/aligned_vector.h"
#include "lockstep/backend.h"
#include "lockstep/elementwise.h"
#include "lockstep/error.h"
#include "lockstep/gates.h"
#include "lockstep/gemm.h"
#include "lockstep/gemm_batch.h"
#include "lockstep/matrix_view.h"
#include "lockstep/portable_math.h"
#include "lockstep/range.h"
#include "lockstep/softmax.h"
#include "lockstep/threads.h"
#include "lockstep/version.h"
