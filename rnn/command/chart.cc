#include "chart.h"

#include <algorithm>
#include <cmath>

#include "text.h"

namespace lockstep::command {
namespace {

// Sizes are in units of the drawing, about pixels.
constexpr double kWidth = 400;
constexpr double kHeight = 250;
constexpr double kLeft = 42;
constexpr double kRight = 14;
constexpr double kTop = 34;  // room for the legend
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
  return format(R"(<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">)", x, y, anchor, style) +
         escape_html(text) + "</text>\n";
}

std::string svg_line(double x1, double y1, double x2, double y2, const char* style) {
  return format("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x1, y1,
                x2, y2, style);
}

// A round step (1, 2 or 5 times a power of ten) that cuts [0, span] into at most `most` parts.
double tick_step(double span, int most) {
  const double step = std::pow(10, std::floor(std::log10(span / most)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * step * most >= span * 0.9999) return factor * step;
  }
  return 10 * step;
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
  return format(R"(<polyline class="series-%zu" points=")", number) + points + "\"/>\n" + end;
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

}  // namespace

std::string escape_html(std::string_view text) {
  constexpr std::string_view kSpecial = "&<>\"'";
  constexpr const char* kEscapes[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
  std::string escaped;
  for (const char c : printable(std::string(text))) {
    const std::size_t special = kSpecial.find(c);
    escaped += special == std::string_view::npos ? std::string(1, c) : kEscapes[special];
  }
  return escaped;
}

std::string line_chart(const std::string& title, const std::vector<Series>& series, double top) {
  constexpr int kMostParts = 5;
  const double span = top > 0 ? top : largest_value(series);
  const double step = tick_step(span, kMostParts);
  const auto epochs = static_cast<double>(series.front().values.size());
  // A single epoch is drawn in the middle.
  const Scale scale{epochs > 1 ? 1.0 : 0.0, epochs > 1 ? epochs : 2.0,
                    std::ceil(span / step * 0.9999) * step};
  std::string svg =
      format(R"(<svg viewBox="0 0 %.0f %.0f" role="img" aria-label=")", kWidth, kHeight) +
      escape_html(title) + "\">\n" + legend(series) + axes(scale, step);
  for (std::size_t i = 0; i < series.size(); ++i) svg += curve(scale, series[i].values, i + 1);
  return svg + "</svg>\n";
}

}  // namespace lockstep::command
