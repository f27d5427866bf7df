#pragma once

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

/// Curves over the epochs as inline SVG, with the classes of docs/report.css instead of colours.
/// The vertical axis runs from 0 to `top` or, where that is 0, to a round number above all values.
[[nodiscard]] std::string line_chart(const std::string& title, const std::vector<Series>& series,
                                     double top);

struct Point {
  double x;
  double y;
};

/// Predicted (y) against true (x) as dots, with the line where they are equal. At least one point,
/// all finite; of very many some are drawn.
[[nodiscard]] std::string scatter_chart(const std::string& title, const std::vector<Point>& points);

/// How often errors of a size occur. At least one value, all finite.
[[nodiscard]] std::string histogram_chart(const std::string& title,
                                          const std::vector<double>& values);

}  // namespace lockstep::command
