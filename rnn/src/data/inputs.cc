#include "data/inputs.h"

#include <cmath>
#include <limits>

#include "data/mapped_file.h"

namespace lockstep {
namespace {

// Whether (x - mean) * scale can be neither denormal nor made of one, whatever x is: a difference
// that is not 0 is at least half the spacing of floats at `mean`.
bool is_far_from_denormals(float mean, float scale) {
  constexpr double kFar = 0x1p-100;
  if (mean == 0 && scale == 1) return true;  // x as it is
  const double size = std::abs(static_cast<double>(mean));
  return size >= kFar && size * static_cast<double>(scale) >= kFar &&
         scale >= std::numeric_limits<float>::min();
}

}  // namespace

InputScale::InputScale(const Normalization& normalization, const Dataset& data)
    : channels_(data.channels()),
      is_of_sequences_(normalization.kind == NormalizationKind::series) {
  if (normalization.kind == NormalizationKind::none) return;
  if (!is_of_sequences_) {
    require_channels(normalization, data);
    add(normalization);
    return;
  }
  data_file::Readahead ahead(data);
  for (std::size_t i = 0; i < data.size(); ++i) {
    ahead.before(i);
    add(fit_channels(data, {i, i + 1}));
  }
}

void InputScale::add(const Normalization& channels) {
  mean_.insert(mean_.end(), channels.mean.begin(), channels.mean.end());
  scale_.insert(scale_.end(), channels.scale.begin(), channels.scale.end());
  for (std::size_t c = 0; c < channels.mean.size(); ++c) {
    if (!is_far_from_denormals(channels.mean[c], channels.scale[c])) {
      mode_ = detail::floating_point_mode();
    }
  }
}

}  // namespace lockstep
