/// @file
/// All of lockstep::rnn for C++.
#pragma once

#include "lockstep/rnn/builtin_data.h"
#include "lockstep/rnn/data_file.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/gradient_check.h"
#include "lockstep/rnn/metrics.h"
#include "lockstep/rnn/missing.h"
#include "lockstep/rnn/model.h"
#include "lockstep/rnn/network.h"
#include "lockstep/rnn/normalization.h"
#include "lockstep/rnn/options.h"
#include "lockstep/rnn/parameters.h"
#include "lockstep/rnn/predict.h"
#include "lockstep/rnn/random.h"
#include "lockstep/rnn/ranks.h"
#include "lockstep/rnn/stream.h"
#include "lockstep/rnn/trainer.h"
