// The C functions of data sets and models; those of the kernels are in kernels/src/c_kernels.cc.
#include <algorithm>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lockstep/detail/c_boundary.h"
#include "lockstep/lockstep.h"
#include "lockstep/rnn/builtin_data.h"
#include "lockstep/rnn/data_file.h"
#include "lockstep/rnn/dataset.h"
#include "lockstep/rnn/model.h"

struct lockstep_dataset {
  lockstep::Dataset data;
};

struct lockstep_options {
  lockstep::Options options;
};

struct lockstep_model {
  lockstep::Model model;
};

namespace lockstep {
namespace {

using detail::c_call;
using detail::require_pointers;

void require(bool holds, const char* function, const std::string& requirement) {
  if (!holds) throw InvalidArgument(std::string(function) + ": " + requirement);
}

static_assert(kNoLabel == LOCKSTEP_NO_LABEL);
static_assert(static_cast<int>(FitStatus::finished) == LOCKSTEP_TRAINING_FINISHED &&
              static_cast<int>(FitStatus::patience) == LOCKSTEP_TRAINING_PATIENCE &&
              static_cast<int>(FitStatus::stopped) == LOCKSTEP_TRAINING_STOPPED &&
              static_cast<int>(FitStatus::diverged) == LOCKSTEP_TRAINING_DIVERGED);

void require_capacity(const char* function, std::size_t capacity, std::size_t needed) {
  require(
      capacity >= needed, function,
      "room for " + std::to_string(capacity) + " results, but there are " + std::to_string(needed));
}

std::vector<std::string> names_of(std::size_t classes, const char* const* class_names) {
  require(classes <= kMaxUnits, "lockstep_dataset_create", "more classes than a model can have");
  std::vector<std::string> names;
  for (std::size_t c = 0; c < classes; ++c) {
    if (class_names != nullptr) require_pointers("lockstep_dataset_create", class_names[c]);
    names.push_back(class_names == nullptr ? std::to_string(c) : class_names[c]);
  }
  std::vector<std::string> sorted = names;
  std::sort(sorted.begin(), sorted.end());
  require(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end(),
          "lockstep_dataset_create", "two classes have the same name");
  return names;
}

[[noreturn]] void fail_in_callback(const std::string& what) {
  throw InternalError("lockstep_model_train: the callback threw an exception: " + what);
}

// Whether the training goes on.
bool call(lockstep_epoch_callback callback, const EpochResult& e, void* context) {
  const lockstep_epoch epoch{e.epoch,
                             e.loss,
                             e.accuracy,
                             e.learning_rate,
                             e.seconds,
                             e.validation_loss,
                             e.validation_accuracy};
  try {
    return callback(&epoch, context) == 0;
  } catch (const std::exception& error) {
    fail_in_callback(error.what());
  } catch (...) {
    fail_in_callback("none of the standard library's");
  }
}

FitResult train(Model& model, const Dataset& data, const Dataset* validation,
                lockstep_epoch_callback callback, void* context) {
  FitObserver observer;
  if (callback != nullptr) {
    observer.on_epoch = [=](const EpochResult& epoch) { return call(callback, epoch, context); };
  }
  return validation == nullptr ? model.fit(data, observer) : model.fit(data, *validation, observer);
}

}  // namespace
}  // namespace lockstep

using lockstep::require;
using lockstep::require_capacity;
using lockstep::detail::c_call;
using lockstep::detail::require_pointers;

lockstep_status lockstep_dataset_create(size_t channels, size_t classes,
                                        const char* const* class_names,
                                        lockstep_dataset** dataset) {
  return c_call([&] {
    require_pointers("lockstep_dataset_create", dataset);
    *dataset = nullptr;
    *dataset =
        new lockstep_dataset{lockstep::Dataset(channels, lockstep::names_of(classes, class_names))};
  });
}

lockstep_status lockstep_dataset_read(const char* path, lockstep_dataset** dataset) {
  return c_call([&] {
    require_pointers("lockstep_dataset_read", dataset);
    *dataset = nullptr;
    require_pointers("lockstep_dataset_read", path);
    *dataset = new lockstep_dataset{lockstep::read_dataset(path)};
  });
}

lockstep_status lockstep_dataset_builtin(const char* name, uint64_t seed, lockstep_dataset** train,
                                         lockstep_dataset** test) {
  return c_call([&] {
    constexpr const char* kName = "lockstep_dataset_builtin";
    require_pointers(kName, train, test);
    *train = *test = nullptr;
    require_pointers(kName, name);
    lockstep::TrainTest made = lockstep::make_builtin_dataset(name, seed);
    auto first = std::make_unique<lockstep_dataset>(lockstep_dataset{std::move(made.train)});
    *test = new lockstep_dataset{std::move(made.test)};
    *train = first.release();
  });
}

lockstep_status lockstep_dataset_add(lockstep_dataset* dataset, const float* values, size_t length,
                                     int label) {
  return c_call([&] {
    constexpr const char* kName = "lockstep_dataset_add";
    require_pointers(kName, dataset);
    if (length > 0) require_pointers(kName, values);
    const std::size_t channels = dataset->data.channels();
    require(length <= SIZE_MAX / sizeof(float) / channels, kName, "length: more than memory holds");
    dataset->data.add({values, length * channels}, label);
  });
}

lockstep_status lockstep_dataset_get_info(const lockstep_dataset* dataset,
                                          lockstep_dataset_info* info) {
  return c_call([&] {
    require_pointers("lockstep_dataset_get_info", dataset, info);
    const lockstep::Dataset& d = dataset->data;
    *info = {d.size(), d.channels(), d.classes(), d.max_length()};
  });
}

lockstep_status lockstep_dataset_label(const lockstep_dataset* dataset, size_t index, int* label) {
  return c_call([&] {
    constexpr const char* kName = "lockstep_dataset_label";
    require_pointers(kName, dataset, label);
    require(index < dataset->data.size(), kName, "there is no such sequence");
    *label = dataset->data.label(index);
  });
}

void lockstep_dataset_free(lockstep_dataset* dataset) { delete dataset; }

lockstep_status lockstep_options_create(lockstep_options** options) {
  return c_call([&] {
    require_pointers("lockstep_options_create", options);
    *options = nullptr;
    *options = new lockstep_options{};
  });
}

lockstep_status lockstep_options_set(lockstep_options* options, const char* name,
                                     const char* value) {
  return c_call([&] {
    require_pointers("lockstep_options_set", options, name, value);
    options->options.set(name, value);
  });
}

lockstep_status lockstep_options_get(const lockstep_options* options, const char* name, char* text,
                                     size_t capacity) {
  return c_call([&] {
    constexpr const char* kName = "lockstep_options_get";
    require_pointers(kName, options, name, text);
    const std::string value = options->options.get(name);
    require(value.size() < capacity, kName,
            "room for " + std::to_string(capacity) + " bytes, but the value takes " +
                std::to_string(value.size() + 1));
    std::copy_n(value.c_str(), value.size() + 1, text);
  });
}

void lockstep_options_free(lockstep_options* options) { delete options; }

lockstep_status lockstep_model_create(const lockstep_dataset* dataset,
                                      const lockstep_options* options, lockstep_model** model) {
  return c_call([&] {
    require_pointers("lockstep_model_create", model);
    *model = nullptr;
    require_pointers("lockstep_model_create", dataset);
    const lockstep::Options chosen = options == nullptr ? lockstep::Options{} : options->options;
    *model = new lockstep_model{lockstep::Model(dataset->data, chosen)};
  });
}

lockstep_status lockstep_model_train(lockstep_model* model, const lockstep_dataset* dataset,
                                     const lockstep_dataset* validation,
                                     const lockstep_options* options,
                                     lockstep_epoch_callback callback, void* context,
                                     lockstep_training* training) {
  return c_call([&] {
    require_pointers("lockstep_model_train", model, dataset);
    if (options != nullptr) model->model.set_options(options->options);
    const lockstep::FitResult result =
        lockstep::train(model->model, dataset->data,
                        validation == nullptr ? nullptr : &validation->data, callback, context);
    if (training == nullptr) return;
    *training = {static_cast<int>(result.status), result.history.size(), result.kept_epoch};
  });
}

lockstep_status lockstep_model_load(const char* path, lockstep_model** model) {
  return c_call([&] {
    require_pointers("lockstep_model_load", model);
    *model = nullptr;
    require_pointers("lockstep_model_load", path);
    *model = new lockstep_model{lockstep::Model::load(path)};
  });
}

lockstep_status lockstep_model_save(const lockstep_model* model, const char* path) {
  return c_call([&] {
    require_pointers("lockstep_model_save", model, path);
    model->model.save(path);
  });
}

lockstep_status lockstep_model_get_info(const lockstep_model* model, lockstep_model_info* info) {
  return c_call([&] {
    require_pointers("lockstep_model_get_info", model, info);
    const lockstep::Network& n = model->model.parameters().network();
    *info = {n.features, n.layers[0].hidden, n.outputs, model->model.weights_hash()};
  });
}

lockstep_status lockstep_model_class_name(const lockstep_model* model, size_t index,
                                          const char** name) {
  return c_call([&] {
    constexpr const char* kName = "lockstep_model_class_name";
    require_pointers(kName, model, name);
    require(index < model->model.class_names().size(), kName, "there is no such class");
    *name = model->model.class_names()[index].c_str();
  });
}

lockstep_status lockstep_model_predict_proba(const lockstep_model* model,
                                             const lockstep_dataset* dataset, int threads,
                                             float* probabilities, size_t capacity) {
  return c_call([&] {
    constexpr const char* kName = "lockstep_model_predict_proba";
    require_pointers(kName, model, dataset);
    const std::size_t size = dataset->data.size();
    require_capacity(kName, capacity, size * model->model.class_names().size());
    if (size > 0) require_pointers(kName, probabilities);
    const std::vector<float> result = model->model.predict_proba(dataset->data, threads);
    std::copy(result.begin(), result.end(), probabilities);
  });
}

lockstep_status lockstep_model_predict(const lockstep_model* model, const lockstep_dataset* dataset,
                                       int threads, int* classes, size_t capacity) {
  return c_call([&] {
    constexpr const char* kName = "lockstep_model_predict";
    require_pointers(kName, model, dataset);
    const std::size_t size = dataset->data.size();
    require_capacity(kName, capacity, size);
    if (size > 0) require_pointers(kName, classes);
    const std::vector<int> result = model->model.predict(dataset->data, threads);
    std::copy(result.begin(), result.end(), classes);
  });
}

lockstep_status lockstep_model_evaluate(const lockstep_model* model,
                                        const lockstep_dataset* dataset, int threads,
                                        double* accuracy, double* loss) {
  return c_call([&] {
    require_pointers("lockstep_model_evaluate", model, dataset);
    const lockstep::Evaluation result = model->model.evaluate(dataset->data, threads);
    if (accuracy != nullptr) *accuracy = result.accuracy;
    if (loss != nullptr) *loss = result.loss;
  });
}

void lockstep_model_free(lockstep_model* model) { delete model; }
