#include "chart.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "text.h"

namespace lockstep::command {
namespace {

// Sizes are in units of the drawing, about pixels.
constexpr double kWidth = 400;
constexpr double kHeight = 250;
constexpr double kLeft = 42;
constexpr double kRight = 14;
constexpr double kTop = 34;  // the legend stands there
constexpr double kBottom = 44;
constexpr std::size_t kMostPoints = 500;

// Epochs and values to places in the drawing.
struct Scale {
  double first_epoch;
  double last_epoch;
  double top;

  [[nodiscard]] double x(double epoch) const {
    const double share = (epoch - first_epoch) / (last_epoch - first_epoch);
    return kLeft + share * (kWidth - kLeft - kRight);
  }
  [[nodiscard]] double y(double value) const {
    return kHeight - kBottom - value / top * (kHeight - kTop - kBottom);
  }
};

std::string svg_text(double x, double y, const char* anchor, const char* style,
                     std::string_view text) {
  return format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y, anchor,
                style) +
         escape_html(text) + "</text>\n";
}

std::string svg_line(double x1, double y1, double x2, double y2, const char* style) {
  return format("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x1, y1,
                x2, y2, style);
}

std::string svg_begin(double width, double height, const std::string& title) {
  return format("<svg viewBox=\"0 0 %.0f %.0f\" style=\"max-width:%.0fpx\" role=\"img\" ", width,
                height, 1.3 * width) +
         "aria-label=\"" + escape_html(title) + "\">\n<title>" + escape_html(title) + "</title>\n";
}

double largest_value(const std::vector<Series>& series) {
  double largest = 0;
  for (const Series& s : series) {
    for (const double value : s.values) {
      if (std::isfinite(value)) largest = std::max(largest, value);
    }
  }
  return largest > 0 ? largest : 1;
}

std::string axes(const Scale& scale, double y_step) {
  std::string svg;
  for (int i = 0; i * y_step <= scale.top * 1.0001; ++i) {
    const double y = scale.y(i * y_step);
    svg += svg_line(kLeft, y, kWidth - kRight, y, i == 0 ? "axis" : "grid");
    svg += svg_text(kLeft - 7, y + 4, "end", "label", format("%g", i * y_step));
  }
  const double x_step = std::max(1.0, tick_step(scale.last_epoch, 6));
  for (double epoch = x_step; epoch <= scale.last_epoch; epoch += x_step) {
    svg += svg_line(scale.x(epoch), scale.y(0), scale.x(epoch), scale.y(0) + 5, "axis");
    svg += svg_text(scale.x(epoch), scale.y(0) + 19, "middle", "label", format("%g", epoch));
  }
  return svg + svg_text((kLeft + kWidth - kRight) / 2, kHeight - 6, "middle", "label", "epoch");
}

std::string curve(const Scale& scale, const std::vector<double>& values, std::size_t number) {
  const std::size_t stride = 1 + values.size() / kMostPoints;
  std::string points;
  std::string end;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool is_last = i + 1 == values.size();
    if (!std::isfinite(values[i]) || (i % stride != 0 && !is_last)) continue;
    const double x = scale.x(static_cast<double>(i + 1));
    const double y = scale.y(values[i]);
    points += format("%.1f,%.1f ", x, y);
    end = format("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" class=\"dot-%zu\"/>\n", x, y, number);
  }
  return format("<polyline class=\"series-%zu\" points=\"", number) + points + "\"/>\n" + end;
}

std::string legend(const std::vector<Series>& series) {
  std::string svg;
  double x = kLeft;
  for (std::size_t i = 0; i < series.size(); ++i) {
    svg += format("<line x1=\"%.1f\" y1=\"14\" x2=\"%.1f\" y2=\"14\" class=\"series-%zu\"/>\n", x,
                  x + 24, i + 1);
    svg += svg_text(x + 31, 18, "start", "legend", series[i].name);
    x += 60 + 8 * static_cast<double>(text_width(series[i].name));
  }
  return svg;
}

// At most `most` characters; what is cut off is replaced by an ellipsis.
std::string shorten(const std::string& text, std::size_t most) {
  if (text_width(text) <= most) return text;
  std::size_t end = 0;
  for (std::size_t characters = 0; characters < most; ++end) {
    const bool begins_next = end + 1 == text.size() || (text[end + 1] & 0xC0) != 0x80;
    if (begins_next) ++characters;
  }
  return text.substr(0, end) + "…";
}

// Where the cells of a confusion matrix stand.
struct Grid {
  double left;
  double top;
  double cell;
};

// With too many classes the cells have no room for text; the page has a table as well.
constexpr double kCellWithText = 24;

std::string matrix_cell(const Grid& grid, std::size_t row, std::size_t column, std::size_t count,
                        double share) {
  const double x = grid.left + static_cast<double>(column) * grid.cell;
  const double y = grid.top + static_cast<double>(row) * grid.cell;
  std::string svg = format(
      "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"cell\" "
      "fill-opacity=\"%.3f\"/>\n",
      x, y, grid.cell - 1, grid.cell - 1, 0.06 + 0.94 * share);
  if (grid.cell < kCellWithText) return svg;
  return svg + svg_text(x + grid.cell / 2, y + grid.cell / 2 + 4, "middle",
                        share > 0.5 ? "on-cell" : "label", std::to_string(count));
}

std::string matrix_labels(const Grid& grid, const std::vector<std::string>& names) {
  if (grid.cell < kCellWithText) return "";
  std::string svg;
  for (std::size_t c = 0; c < names.size(); ++c) {
    const double middle = (static_cast<double>(c) + 0.5) * grid.cell;
    svg += svg_text(grid.left - 7, grid.top + middle + 4, "end", "label", names[c]);
    svg += format("<g transform=\"translate(%.1f %.1f) rotate(-45)\">", grid.left + middle,
                  grid.top - 6) +
           svg_text(0, 0, "start", "label", names[c]) + "</g>\n";
  }
  return svg;
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string escaped;
  for (const char c : printable(std::string(text))) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

double tick_step(double span, int most) {
  double step = std::pow(10, std::floor(std::log10(span / most)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * step * most >= span * 0.9999) return factor * step;
  }
  return 10 * step;
}

std::string line_chart(const std::string& title, const std::vector<Series>& series, double top) {
  constexpr int kMostParts = 5;
  const double span = top > 0 ? top : largest_value(series);
  const double step = tick_step(span, kMostParts);
  const auto epochs = static_cast<double>(series.front().values.size());
  // A single epoch stands in the middle.
  const Scale scale{epochs > 1 ? 1.0 : 0.0, epochs > 1 ? epochs : 2.0,
                    std::ceil(span / step * 0.9999) * step};
  std::string svg = svg_begin(kWidth, kHeight, title) + legend(series) + axes(scale, step);
  for (std::size_t i = 0; i < series.size(); ++i) svg += curve(scale, series[i].values, i + 1);
  return svg + "</svg>\n";
}

std::string confusion_chart(const std::vector<std::size_t>& counts,
                            const std::vector<std::string>& class_names) {
  constexpr std::size_t kLongestName = 16;
  constexpr double kCharacter = 6.7;
  const std::size_t classes = class_names.size();
  std::vector<std::string> names;
  for (const std::string& name : class_names) names.push_back(shorten(name, kLongestName));
  const double name_width = kCharacter * static_cast<double>(column_width(names, 4)) + 8;
  const double cell = classes <= 12 ? 40 : classes <= 30 ? kCellWithText : 8;
  const Grid grid{name_width + 16, 0.72 * name_width + 26, cell};
  const double side = cell * static_cast<double>(classes);
  std::string svg = svg_begin(grid.left + side + 0.72 * name_width, grid.top + side + 4,
                              "Confusion matrix: rows true class, columns predicted class");
  svg += svg_text(grid.left + side / 2, 14, "middle", "legend", "predicted class →");
  svg += format("<g transform=\"translate(11 %.1f) rotate(-90)\">", grid.top + side / 2) +
         svg_text(0, 0, "middle", "legend", "← true class") + "</g>\n";
  svg += matrix_labels(grid, names);
  for (std::size_t row = 0; row < classes; ++row) {
    const auto* first = counts.data() + row * classes;
    const std::size_t total = std::accumulate(first, first + classes, std::size_t{0});
    for (std::size_t column = 0; column < classes; ++column) {
      const double share =
          total == 0 ? 0 : static_cast<double>(first[column]) / static_cast<double>(total);
      svg += matrix_cell(grid, row, column, first[column], share);
    }
  }
  return svg + "</svg>\n";
}

}  // namespace lockstep::command
