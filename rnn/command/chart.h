#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::command {

/// Text for HTML and SVG, in content and in attributes.
[[nodiscard]] std::string escape_html(std::string_view text);

/// Values of epochs 1, 2, ...; those that are not finite are left out.
struct Series {
  std::string name;
  std::vector<double> values;
};

/// The charts are inline SVG without colours of their own: the page's style sheet gives them, by
/// the classes grid, axis, label, legend, series-1 (and -2), cell and on-cell.

/// Curves over the epochs; the vertical axis runs from 0 to `top` or, where that is 0, to a round
/// number above all values.
[[nodiscard]] std::string line_chart(const std::string& title, const std::vector<Series>& series,
                                     double top);

/// A confusion matrix, counts [C][C] row-major with the true class by row. The shade of a cell is
/// its share of its row.
[[nodiscard]] std::string confusion_chart(const std::vector<std::size_t>& counts,
                                          const std::vector<std::string>& class_names);

/// A round step (1, 2 or 5 times a power of ten) that cuts [0, span] into at most `most` parts.
[[nodiscard]] double tick_step(double span, int most);

}  // namespace lockstep::command
