// The C functions of data sets and models; those of the kernels are in kernels/src/c_kernels.cc.
#include <algorithm>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lockstep/detail/c_boundary.h"
#include "lockstep/detail/require.h"
#include "lockstep/lockstep.h"
#include "lockstep/rnn/builtin_data.h"
#include "lockstep/rnn/data_file.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/model.h"
#include "lookup.h"

struct lockstep_dataset {
  lockstep::Dataset data;
};

struct lockstep_options {
  lockstep::Options options;
};

struct lockstep_model {
  lockstep::Model model;
  lockstep::Options options = model.options();  // of the last training that did not fail
  lockstep::Checkpoints checkpoints{};
};

namespace lockstep {
namespace {

using detail::call;
using detail::create;

static_assert(kNoLabel == LOCKSTEP_NO_LABEL);
static_assert(static_cast<int>(FitStatus::finished) == LOCKSTEP_TRAINING_FINISHED &&
              static_cast<int>(FitStatus::patience) == LOCKSTEP_TRAINING_PATIENCE &&
              static_cast<int>(FitStatus::stopped) == LOCKSTEP_TRAINING_STOPPED &&
              static_cast<int>(FitStatus::diverged) == LOCKSTEP_TRAINING_DIVERGED);

void require_capacity(const char* function, std::size_t capacity, std::size_t needed) {
  if (capacity >= needed) return;
  throw InvalidArgument(std::string(function) + ": room for " + std::to_string(capacity) +
                        " results, but there are " + std::to_string(needed));
}

std::vector<std::string> class_names_from(const char* function, std::size_t classes,
                                          const char* const* class_names) {
  require(classes <= kMaxUnits, function, "more classes than a model can have");
  std::vector<std::string> names;
  for (std::size_t c = 0; c < classes; ++c) {
    if (class_names != nullptr) detail::require_pointer(function, class_names[c]);
    names.push_back(class_names == nullptr ? std::to_string(c) : class_names[c]);
  }
  require(!repeated(names), function, "two classes have the same name");
  return names;
}

TargetKind target_kind_from(const char* function, int kind) {
  require(kind >= LOCKSTEP_TARGET_LABEL && kind <= LOCKSTEP_TARGET_STEP_VALUES, function,
          "there is no such kind of targets");
  return static_cast<TargetKind>(kind);
}

// Of what a model predicts.
std::size_t rows_of(const Model& model, const Dataset& data) {
  const std::string& head = model.parameters().network().head;
  return is_of_steps(targets_of_head(head)) ? data.total_timesteps() : data.size();
}

[[noreturn]] void fail_in_callback(const std::string& what) {
  throw InternalError("lockstep_model_train: the callback threw an exception: " + what);
}

// Whether the training continues.
bool call_back(lockstep_epoch_callback callback, const EpochResult& e, void* context) {
  const lockstep_epoch epoch{e.epoch,
                             e.loss,
                             e.accuracy,
                             e.learning_rate,
                             e.seconds,
                             e.validation_loss,
                             e.validation_accuracy,
                             e.skipped};
  try {
    return callback(&epoch, context) == 0;
  } catch (const std::exception& error) {
    fail_in_callback(error.what());
  } catch (...) {
    fail_in_callback("none of the standard library's");
  }
}

FitResult train(lockstep_model& handle, const Dataset& data, const lockstep_dataset* validation,
                lockstep_epoch_callback callback, void* context) {
  Model& model = handle.model;
  FitObserver observer{.on_batch = {}, .on_epoch = {}, .checkpoints = handle.checkpoints};
  if (callback != nullptr) {
    observer.on_epoch = [=](const EpochResult& e) { return call_back(callback, e, context); };
  }
  return validation == nullptr ? model.fit(data, observer)
                               : model.fit(data, validation->data, observer);
}

}  // namespace
}  // namespace lockstep

using lockstep::call;
using lockstep::create;
using lockstep::require;

lockstep_status lockstep_dataset_create(size_t channels, size_t classes,
                                        const char* const* class_names,
                                        lockstep_dataset** dataset) {
  return create(__func__, dataset, {}, [&, function = __func__] {
    return lockstep::Dataset(channels, lockstep::class_names_from(function, classes, class_names));
  });
}

lockstep_status lockstep_dataset_read(const char* path, lockstep_dataset** dataset) {
  return create(__func__, dataset, {path},
                [&] { return lockstep::read_dataset(path, {.allow_missing = true}); });
}

lockstep_status lockstep_dataset_read_targets(const char* path, int kind,
                                              lockstep_dataset** dataset) {
  return create(__func__, dataset, {path}, [&, function = __func__] {
    return lockstep::read_dataset(
        path, {.targets = lockstep::target_kind_from(function, kind), .allow_missing = true});
  });
}

lockstep_status lockstep_dataset_builtin(const char* name, uint64_t seed, lockstep_dataset** train,
                                         lockstep_dataset** test) {
  if (train != nullptr) *train = nullptr;
  if (test != nullptr) *test = nullptr;
  return call(__func__, {train, test, name}, [&] {
    lockstep::TrainTest made = lockstep::make_builtin_dataset(name, seed);
    auto first = std::make_unique<lockstep_dataset>(lockstep_dataset{std::move(made.train)});
    *test = new lockstep_dataset{std::move(made.test)};
    *train = first.release();
  });
}

lockstep_status lockstep_dataset_add(lockstep_dataset* dataset, const float* values, size_t length,
                                     int label) {
  return call(__func__, {dataset}, [&, function = __func__] {
    if (length > 0) lockstep::detail::require_pointer(function, values);
    const std::size_t channels = dataset->data.channels();
    require(length <= SIZE_MAX / sizeof(float) / channels, function,
            "length: more than memory holds");
    dataset->data.add({values, length * channels}, label);
  });
}

lockstep_status lockstep_dataset_create_targets(size_t channels, int kind, size_t outputs,
                                                const char* const* names,
                                                lockstep_dataset** dataset) {
  return create(__func__, dataset, {}, [&, function = __func__] {
    return lockstep::Dataset(channels, lockstep::target_kind_from(function, kind),
                             lockstep::class_names_from(function, outputs, names));
  });
}

lockstep_status lockstep_dataset_add_steps(lockstep_dataset* dataset, const float* values,
                                           size_t length, const int* labels) {
  return call(__func__, {dataset}, [&, function = __func__] {
    if (length > 0) lockstep::detail::require_pointer(function, values);
    if (length > 0) lockstep::detail::require_pointer(function, labels);
    const std::size_t channels = dataset->data.channels();
    require(length <= SIZE_MAX / sizeof(float) / channels, function,
            "length: more than memory holds");
    dataset->data.add_steps({values, length * channels}, {labels, length});
  });
}

lockstep_status lockstep_dataset_add_values(lockstep_dataset* dataset, const float* values,
                                            size_t length, const float* targets) {
  return call(__func__, {dataset}, [&, function = __func__] {
    if (length > 0) lockstep::detail::require_pointer(function, values);
    lockstep::detail::require_pointer(function, targets);
    lockstep::Dataset& data = dataset->data;
    const std::size_t rows = is_of_steps(data.target_kind()) ? length : 1;
    require(length <= SIZE_MAX / sizeof(float) / std::max(data.channels(), data.classes()),
            function, "length: more than memory holds");
    data.add_values({values, length * data.channels()}, {targets, rows * data.classes()});
  });
}

lockstep_status lockstep_dataset_set_weight(lockstep_dataset* dataset, size_t index, float weight) {
  return call(__func__, {dataset}, [&] { dataset->data.set_weight(index, weight); });
}

lockstep_status lockstep_dataset_get_info(const lockstep_dataset* dataset,
                                          lockstep_dataset_info* info) {
  return call(__func__, {dataset, info}, [&] {
    const lockstep::Dataset& d = dataset->data;
    *info = {d.size(), d.channels(), d.classes(), d.max_length(), d.total_timesteps()};
  });
}

lockstep_status lockstep_dataset_label(const lockstep_dataset* dataset, size_t index, int* label) {
  return call(__func__, {dataset, label}, [&, function = __func__] {
    require(index < dataset->data.size(), function, "there is no such sequence");
    require(dataset->data.target_kind() == lockstep::TargetKind::label, function,
            "the data have no label for each sequence");
    *label = dataset->data.label(index);
  });
}

void lockstep_dataset_free(lockstep_dataset* dataset) { delete dataset; }

lockstep_status lockstep_options_create(lockstep_options** options) {
  return create(__func__, options, {}, [] { return lockstep::Options{}; });
}

lockstep_status lockstep_options_set(lockstep_options* options, const char* name,
                                     const char* value) {
  return call(__func__, {options, name, value}, [&] { options->options.set(name, value); });
}

lockstep_status lockstep_options_get(const lockstep_options* options, const char* name, char* text,
                                     size_t capacity) {
  return call(__func__, {options, name, text}, [&, function = __func__] {
    const std::string value = options->options.get(name);
    if (value.size() >= capacity) {
      throw lockstep::InvalidArgument(std::string(function) + ": room for " +
                                      std::to_string(capacity) + " bytes, but the value takes " +
                                      std::to_string(value.size() + 1));
    }
    std::copy_n(value.c_str(), value.size() + 1, text);
  });
}

void lockstep_options_free(lockstep_options* options) { delete options; }

lockstep_status lockstep_model_create(const lockstep_dataset* dataset,
                                      const lockstep_options* options, lockstep_model** model) {
  return create(__func__, model, {dataset}, [&] {
    return lockstep::Model(dataset->data,
                           options == nullptr ? lockstep::Options{} : options->options);
  });
}

lockstep_status lockstep_model_train(lockstep_model* model, const lockstep_dataset* dataset,
                                     const lockstep_dataset* validation,
                                     const lockstep_options* options,
                                     lockstep_epoch_callback callback, void* context,
                                     lockstep_training* training) {
  return call(__func__, {model, dataset}, [&] {
    lockstep::Options next = options == nullptr ? model->options : options->options;
    model->model.set_options(next);
    const lockstep::FitResult result =
        lockstep::train(*model, dataset->data, validation, callback, context);
    model->options = std::move(next);
    if (training == nullptr) return;
    *training = {static_cast<int>(result.status), result.history.size(), result.kept_epoch};
  });
}

lockstep_status lockstep_model_set_checkpoints(lockstep_model* model, const char* path,
                                               size_t every_epochs, double every_seconds) {
  return call(__func__, {model, path}, [&, function = __func__] {
    require(every_seconds >= 0, function, "every_seconds is below 0 or not a number");
    model->checkpoints = {
        .path = path, .every_epochs = every_epochs, .every_seconds = every_seconds};
  });
}

lockstep_status lockstep_model_resume(const char* path, lockstep_model** model) {
  return create(__func__, model, {path}, [&] { return lockstep::Model::resume(path); });
}

lockstep_status lockstep_model_load(const char* path, lockstep_model** model) {
  return create(__func__, model, {path}, [&] { return lockstep::Model::load(path); });
}

lockstep_status lockstep_model_save(const lockstep_model* model, const char* path) {
  return call(__func__, {model, path}, [&] { model->model.save(path); });
}

lockstep_status lockstep_model_get_info(const lockstep_model* model, lockstep_model_info* info) {
  return call(__func__, {model, info}, [&] {
    const lockstep::Network& n = model->model.parameters().network();
    const lockstep::Layer& last = n.layers.back();
    *info = {.features = n.features,
             .hidden = last.hidden,
             .classes = n.outputs,
             .weights_hash = model->model.weights_hash(),
             .layers = n.layers.size(),
             .bidirectional = last.bidirectional ? 1 : 0,
             .cell = last.cell.c_str()};
  });
}

lockstep_status lockstep_model_class_name(const lockstep_model* model, size_t index,
                                          const char** name) {
  return call(__func__, {model, name}, [&, function = __func__] {
    require(index < model->model.class_names().size(), function, "there is no such class");
    *name = model->model.class_names()[index].c_str();
  });
}

lockstep_status lockstep_model_predict_proba(const lockstep_model* model,
                                             const lockstep_dataset* dataset, int threads,
                                             float* probabilities, size_t capacity) {
  return call(__func__, {model, dataset}, [&, function = __func__] {
    const std::size_t size = lockstep::rows_of(model->model, dataset->data);
    lockstep::require_capacity(function, capacity, size * model->model.class_names().size());
    if (size > 0) lockstep::detail::require_pointer(function, probabilities);
    std::ranges::copy(model->model.predict_proba(dataset->data, threads), probabilities);
  });
}

lockstep_status lockstep_model_predict(const lockstep_model* model, const lockstep_dataset* dataset,
                                       int threads, int* classes, size_t capacity) {
  return call(__func__, {model, dataset}, [&, function = __func__] {
    lockstep::require_capacity(function, capacity, lockstep::rows_of(model->model, dataset->data));
    if (!dataset->data.empty()) lockstep::detail::require_pointer(function, classes);
    std::ranges::copy(model->model.predict(dataset->data, threads), classes);
  });
}

lockstep_status lockstep_model_evaluate(const lockstep_model* model,
                                        const lockstep_dataset* dataset, int threads,
                                        double* accuracy, double* loss) {
  return call(__func__, {model, dataset}, [&] {
    const lockstep::Evaluation result = model->model.evaluate(dataset->data, threads);
    if (accuracy != nullptr) *accuracy = result.accuracy;
    if (loss != nullptr) *loss = result.loss;
  });
}

lockstep_status lockstep_model_measure(const lockstep_model* model, const lockstep_dataset* dataset,
                                       int threads, lockstep_evaluation* evaluation) {
  return call(__func__, {model, dataset, evaluation}, [&] {
    const lockstep::Evaluation e = model->model.evaluate(dataset->data, threads);
    *evaluation = {.samples = e.samples,
                   .loss = e.loss,
                   .accuracy = e.accuracy,
                   .balanced_accuracy = e.balanced_accuracy,
                   .macro_f1 = e.macro_f1,
                   .rmse = e.rmse,
                   .mae = e.mae,
                   .r2 = e.r2};
  });
}

void lockstep_model_free(lockstep_model* model) { delete model; }
