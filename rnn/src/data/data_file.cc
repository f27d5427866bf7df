#include "lockstep/rnn/data_file.h"

#include <algorithm>
#include <array>

#include "data/formats.h"
#include "data/unpack.h"
#include "lookup.h"

namespace lockstep {
namespace {

using data_file::Reading;

struct Format {
  std::string_view extension;
  Dataset (*read)(Reading& reading);
};

constexpr std::array kFormats = {
    Format{".ts", data_file::read_ts},     Format{".tsv", data_file::read_rows},
    Format{".txt", data_file::read_rows},  Format{".npz", data_file::read_npz},
    Format{".npy", data_file::read_npy},   Format{".csv", data_file::read_csv},
    Format{".arff", data_file::read_arff},
};

void check_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    throw DataError(path.string() + ": the file does not exist or is out of reach");
  }
  if (std::filesystem::is_directory(status) || std::filesystem::is_block_file(status)) {
    throw DataError(path.string() + ": not a regular file, expected a data file");
  }
  if (std::filesystem::is_regular_file(status) && std::filesystem::file_size(path, error) == 0) {
    throw DataError(path.string() + ": the file is empty");
  }
}

// ".csv" of "a.csv" and "a.CSV.gz".
std::string extension_of(const std::filesystem::path& path) {
  const std::string extension = data_file::lower(path.extension().string());
  return extension == ".gz" ? data_file::lower(path.stem().extension().string()) : extension;
}

// Of NumPy's, which are no text.
bool has_arrays(const Format& format) { return format.extension.starts_with(".np"); }

const Format& format_of(const Reading& reading) {
  const std::string name = data_file::lower(reading.path.string());
  if (name.ends_with(".npy.gz") || name.ends_with(".npz.gz")) {
    throw DataError(reading.path.string() +
                    ": arrays of NumPy are read from a file that is not compressed by gzip");
  }
  const bool is_input = reading.path == "-";
  const std::string& asked = reading.options.format;
  if (asked.empty() && is_input) {
    throw DataError("standard input: its format is not known, --format says it");
  }
  const std::string extension = asked.empty() ? extension_of(reading.path) : "." + asked;
  const auto* const format = std::ranges::find(kFormats, extension, &Format::extension);
  if (format == kFormats.end()) {
    throw DataError(reading.path.string() + ": unknown extension '" + extension +
                    "', expected one of " + listed(kFormats, &Format::extension));
  }
  if (is_input && has_arrays(*format)) {
    throw DataError("standard input: arrays of NumPy are read from a file");
  }
  return *format;
}

}  // namespace

DataFile read_data_file(const std::filesystem::path& path, const ReadOptions& options) {
  Reading reading{.path = path, .options = options, .notes = {}};
  if (path != "-") check_file(path);
  const Format& format = format_of(reading);
  const bool is_archive = format.extension == ".npz";
  if ((!is_archive && !options.x.empty()) ||
      (!has_arrays(format) && (!options.y.empty() || options.axes != Axes::NTC))) {
    throw DataError(path.string() + ": x is of the arrays of a .npz, y and axes of .npz and .npy");
  }
  Dataset data = format.read(reading);
  if (reading.files.empty()) reading.files.push_back(path);
  return {std::move(data), std::move(reading.notes), std::move(reading.files)};
}

Dataset read_dataset(const std::filesystem::path& path, const ReadOptions& options) {
  return read_data_file(path, options).data;
}

#ifndef LOCKSTEP_HAVE_ZLIB
Dataset data_file::read_npz(Reading& reading) {
  throw DataError(reading.path.string() +
                  ": this build cannot read .npz files, as it is without zlib");
}
#endif

}  // namespace lockstep
