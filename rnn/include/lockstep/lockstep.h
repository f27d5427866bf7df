/**
 * @file
 * Lockstep for C (C99 and later) and for languages that call C: the kernels of
 * lockstep/lockstep_kernels.h, whose rules for statuses, texts and threads hold here too, and
 * recurrent classifiers: data, training, prediction, model files. Library lockstep_rnn.
 *
 * Handles belong to the caller, who gives them to the free function of their type. A function that
 * makes a handle sets it to null when it fails. Functions that take a handle as const may use it
 * from several threads at a time; one that changes it must be alone.
 *
 * Paths are as the operating system takes them; texts are UTF-8.
 */
#ifndef LOCKSTEP_LOCKSTEP_H
#define LOCKSTEP_LOCKSTEP_H

#include <stddef.h>
#include <stdint.h>

#include "lockstep/lockstep_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Sequences of unequal length with one class label each; lockstep/rnn/dataset.h. */
typedef struct lockstep_dataset lockstep_dataset;

/** Label of a sequence whose class is not known. */
enum { LOCKSTEP_NO_LABEL = -1 };

/** Sizes of a data set. */
typedef struct lockstep_dataset_info {
  size_t size;       /**< sequences */
  size_t channels;   /**< values per timestep */
  size_t classes;    /**< or outputs; 0 if it is unlabelled */
  size_t max_length; /**< timesteps of the longest sequence */
  size_t timesteps;  /**< of all sequences */
} lockstep_dataset_info;

/**
 * An empty set of sequences with `channels` >= 1 values per timestep. `class_names` is [classes],
 * all different, and copied; null names the classes "0", "1", ... `classes` may be 0 for data
 * without labels.
 */
LOCKSTEP_API lockstep_status lockstep_dataset_create(size_t channels, size_t classes,
                                                     const char* const* class_names,
                                                     lockstep_dataset** dataset);

/**
 * Reads a .ts, .tsv, .txt, .csv, .arff, .npz or .npy file; lockstep/rnn/data_file.h. Values that
 * are missing are NaN: a model refuses them or fills them, by its option `missing`.
 */
LOCKSTEP_API lockstep_status lockstep_dataset_read(const char* path, lockstep_dataset** dataset);

/** As lockstep_dataset_read, with targets of one kind, LOCKSTEP_TARGET_... */
LOCKSTEP_API lockstep_status lockstep_dataset_read_targets(const char* path, int kind,
                                                           lockstep_dataset** dataset);

/** Makes the training and the test part of a built-in set; lockstep/rnn/builtin_data.h. */
LOCKSTEP_API lockstep_status lockstep_dataset_builtin(const char* name, uint64_t seed,
                                                      lockstep_dataset** train,
                                                      lockstep_dataset** test);

/**
 * Appends one sequence: `values` is [length][channels] and copied, `length` >= 1, `label` in
 * [0, classes) or LOCKSTEP_NO_LABEL. A failure changes nothing.
 */
LOCKSTEP_API lockstep_status lockstep_dataset_add(lockstep_dataset* dataset, const float* values,
                                                  size_t length, int label);

/** What is known of each sequence. */
enum {
  LOCKSTEP_TARGET_LABEL = 0,       /**< a class */
  LOCKSTEP_TARGET_STEP_LABELS = 1, /**< a class at each timestep */
  LOCKSTEP_TARGET_VALUES = 2,      /**< numbers, one for each output */
  LOCKSTEP_TARGET_STEP_VALUES = 3  /**< the same at each timestep */
};

/** As lockstep_dataset_create, with targets of a kind; `names` are of classes or of outputs. */
LOCKSTEP_API lockstep_status lockstep_dataset_create_targets(size_t channels, int kind,
                                                             size_t outputs,
                                                             const char* const* names,
                                                             lockstep_dataset** dataset);

/** As lockstep_dataset_add, with a label for each timestep, [length]. */
LOCKSTEP_API lockstep_status lockstep_dataset_add_steps(lockstep_dataset* dataset,
                                                        const float* values, size_t length,
                                                        const int* labels);

/** The same with numbers, [outputs] or for step values [length][outputs]; NaN: not known. */
LOCKSTEP_API lockstep_status lockstep_dataset_add_values(lockstep_dataset* dataset,
                                                         const float* values, size_t length,
                                                         const float* targets);

/** How much the targets of sequence `index` < size count in the loss, 0 or more; at first 1. */
LOCKSTEP_API lockstep_status lockstep_dataset_set_weight(lockstep_dataset* dataset, size_t index,
                                                         float weight);

/** Gives its sizes. */
LOCKSTEP_API lockstep_status lockstep_dataset_get_info(const lockstep_dataset* dataset,
                                                       lockstep_dataset_info* info);

/** Label of sequence `index` < size, of LOCKSTEP_TARGET_LABEL. */
LOCKSTEP_API lockstep_status lockstep_dataset_label(const lockstep_dataset* dataset, size_t index,
                                                    int* label);

/** Frees a data set; null does nothing. */
LOCKSTEP_API void lockstep_dataset_free(lockstep_dataset* dataset);

/**
 * A classifier: weights, class names, and how it standardises its inputs, which it does by itself:
 * give it data as they were measured. lockstep/rnn/model.h
 */
typedef struct lockstep_model lockstep_model;

/** Sizes of a model, and a number that is equal where all of its weights are. */
typedef struct lockstep_model_info {
  size_t features;       /**< values per timestep, the channels of its data */
  size_t hidden;         /**< recurrent units of each direction of the last layer */
  size_t classes;        /**< that it distinguishes */
  uint64_t weights_hash; /**< of all weights */
  size_t layers;         /**< recurrent layers */
  int bidirectional;     /**< 1 if the last layer reads the sequences backwards too, otherwise 0 */
  const char* cell;      /**< of the last layer, "tanh" for example; valid as long as the model */
} lockstep_model_info;

/**
 * How to make and train a model; lockstep/rnn/options.h. `lockstep train --help` lists the options,
 * whose names are those of the flags: the same data and options give the same model.
 */
typedef struct lockstep_options lockstep_options;

/** Options with their defaults, which are those of `lockstep train`. */
LOCKSTEP_API lockstep_status lockstep_options_create(lockstep_options** options);

/**
 * Sets an option to the value whose text is `value`: a number, a word, `true` or `false`, as
 * ("learning_rate", "0.05") or ("schedule", "step"). A failure changes nothing.
 */
LOCKSTEP_API lockstep_status lockstep_options_set(lockstep_options* options, const char* name,
                                                  const char* value);

/** Writes the value of an option into `text`, which has room for `capacity` bytes with the 0. */
LOCKSTEP_API lockstep_status lockstep_options_get(const lockstep_options* options, const char* name,
                                                  char* text, size_t capacity);

/** Frees options; null does nothing. */
LOCKSTEP_API void lockstep_options_free(lockstep_options* options);

/** What one pass over the data gave. */
typedef struct lockstep_epoch {
  size_t epoch;               /**< counted from 1 */
  double loss;                /**< mean cross-entropy in nats, each minibatch before its update */
  double accuracy;            /**< share classified right, each before its update */
  double learning_rate;       /**< of the pass */
  double seconds;             /**< wall time of the pass */
  double validation_loss;     /**< after the pass; NaN without validation data */
  double validation_accuracy; /**< after the pass; NaN without validation data */
  size_t skipped;             /**< minibatches without a finite loss and gradient, left out */
} lockstep_epoch;

/**
 * Called after every pass, on the thread that called lockstep_model_train; anything but 0 ends the
 * training, which is no failure. An exception (of a callback in C++) ends it as one: the status is
 * LOCKSTEP_INTERNAL_ERROR, whatever was thrown, and lockstep_last_error() has its text. Either way
 * the model keeps what it has learnt.
 */
typedef int (*lockstep_epoch_callback)(const lockstep_epoch* epoch, void* context);

/** Why a training ended: lockstep_training.status. */
enum {
  LOCKSTEP_TRAINING_FINISHED = 0, /**< after all epochs */
  LOCKSTEP_TRAINING_PATIENCE = 1, /**< the validation loss did not get better any more */
  LOCKSTEP_TRAINING_STOPPED = 2,  /**< by the callback */
  LOCKSTEP_TRAINING_DIVERGED = 3  /**< the loss or a weight was no longer a finite number */
};

/** How a training went. */
typedef struct lockstep_training {
  int status;        /**< LOCKSTEP_TRAINING_... */
  size_t epochs;     /**< that were begun */
  size_t kept_epoch; /**< whose weights were kept; 0: those from before */
} lockstep_training;

/**
 * A model for the classes of `dataset` with first weights drawn by the seed and inputs standardised
 * as fits the data, without the share `validation` that is held out. Null options mean the
 * defaults. The data must have a sequence and two classes at least, and a label for each sequence.
 */
LOCKSTEP_API lockstep_status lockstep_model_create(const lockstep_dataset* dataset,
                                                   const lockstep_options* options,
                                                   lockstep_model** model);

/**
 * Trains; Model::fit in lockstep/rnn/model.h. Every sequence needs a label whose class, by name, is
 * one of the model. Null options mean those of the last training, at first those of
 * lockstep_model_create; a call that fails leaves them as they were, and the model with what it had
 * kept, from which the next call learns on. Without `validation` data the
 * share of the options is held out. `callback` may be null and gets `context`; `training` may be
 * null. Weights that are not finite are never kept.
 */
LOCKSTEP_API lockstep_status lockstep_model_train(lockstep_model* model,
                                                  const lockstep_dataset* dataset,
                                                  const lockstep_dataset* validation,
                                                  const lockstep_options* options,
                                                  lockstep_epoch_callback callback, void* context,
                                                  lockstep_training* training);

/**
 * Lets the trainings of a model be written to the file `path`, after so many epochs, and after a
 * minibatch once so many seconds have passed; 0: not so. They are written at their end too, so also
 * where the callback ends them. An empty path: not any more. A training that cannot write its file
 * fails. FitObserver::checkpoints in lockstep/rnn/trainer.h
 */
LOCKSTEP_API lockstep_status lockstep_model_set_checkpoints(lockstep_model* model, const char* path,
                                                            size_t every_epochs,
                                                            double every_seconds);

/**
 * The model of a training that was so written; the next lockstep_model_train continues it, to
 * the same bits as if it had never stopped. It must get the same data and validation data, and null
 * options or such as differ in `epochs`, `threads` and `memory` alone. Model::resume in
 * lockstep/rnn/model.h
 */
LOCKSTEP_API lockstep_status lockstep_model_resume(const char* path, lockstep_model** model);

/** Reads a model that lockstep_model_save, `lockstep train` or PyTorch wrote. */
LOCKSTEP_API lockstep_status lockstep_model_load(const char* path, lockstep_model** model);

/** Writes a safetensors file, the whole or nothing; Model::save in lockstep/rnn/model.h. */
LOCKSTEP_API lockstep_status lockstep_model_save(const lockstep_model* model, const char* path);

/** Gives its sizes and the hash of its weights. */
LOCKSTEP_API lockstep_status lockstep_model_get_info(const lockstep_model* model,
                                                     lockstep_model_info* info);

/** Name of class `index` < classes; valid as long as the model. */
LOCKSTEP_API lockstep_status lockstep_model_class_name(const lockstep_model* model, size_t index,
                                                       const char** name);

/**
 * Probability of every class for every sequence: `probabilities` is [size of the data][classes] and
 * holds `capacity` floats, at least that number; of a model of values these, [size][outputs], and
 * of one of timesteps a row for each of them, [timesteps][...]. Targets are ignored. `threads` as
 * in lockstep_gemm.
 */
LOCKSTEP_API lockstep_status lockstep_model_predict_proba(const lockstep_model* model,
                                                          const lockstep_dataset* dataset,
                                                          int threads, float* probabilities,
                                                          size_t capacity);

/**
 * The most probable class of every sequence, or timestep of such a model, or LOCKSTEP_NO_LABEL
 * where the model overflows and its probabilities are NaN: `classes` holds
 * `capacity` ints, one for each. A model of values is refused.
 */
LOCKSTEP_API lockstep_status lockstep_model_predict(const lockstep_model* model,
                                                    const lockstep_dataset* dataset, int threads,
                                                    int* classes, size_t capacity);

/**
 * Accuracy and mean cross-entropy, in nats, on labelled data whose classes, by name, are among the
 * model's; NaN for no sequences. Either result may be null.
 */
LOCKSTEP_API lockstep_status lockstep_model_evaluate(const lockstep_model* model,
                                                     const lockstep_dataset* dataset, int threads,
                                                     double* accuracy, double* loss);

/** How well predictions match targets; what a head has not is NaN. lockstep/rnn/metrics.h */
typedef struct lockstep_evaluation {
  size_t samples;           /**< sequences or timesteps with a target that is known */
  double loss;              /**< mean, as in a training, but without weights */
  double accuracy;          /**< share classified right; of a multilabel head, of its labels */
  double balanced_accuracy; /**< mean recall of the classes */
  double macro_f1;          /**< mean F1 of the classes */
  double rmse;              /**< root mean square error, of numbers */
  double mae;               /**< mean absolute error, of numbers */
  double r2;                /**< coefficient of determination, of numbers */
} lockstep_evaluation;

/** All that there is to measure of a model on data with targets. */
LOCKSTEP_API lockstep_status lockstep_model_measure(const lockstep_model* model,
                                                    const lockstep_dataset* dataset, int threads,
                                                    lockstep_evaluation* evaluation);

/** Frees a model; null does nothing. */
LOCKSTEP_API void lockstep_model_free(lockstep_model* model);

#ifdef __cplusplus
}
#endif

#endif
