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
constexpr std::size_t kMostPoints = 500;  // of a curve
constexpr std::size_t kMostDots = 1000;
constexpr int kMostParts = 5;  // between ticks
constexpr int kMostTicks = 6;
constexpr int kMostBins = 20;

struct Interval {
  double low;
  double high;

  [[nodiscard]] double share(double value) const { return (value - low) / (high - low); }
};

// Values to places in the drawing.
struct Scale {
  Interval across;
  Interval up;

  [[nodiscard]] double x(double value) const {
    return kLeft + across.share(value) * (kWidth - kLeft - kRight);
  }
  [[nodiscard]] double y(double value) const {
    return kHeight - kBottom - up.share(value) * (kHeight - kTop - kBottom);
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

// The multiples of `step` in an interval.
std::vector<double> ticks(const Interval& interval, double step) {
  constexpr double kMost = 50;
  constexpr double kSlack = 1e-4;  // of a step
  const double first = std::ceil(interval.low / step - kSlack);
  const double count = std::floor(interval.high / step + kSlack) - first;
  std::vector<double> values;
  for (double i = 0; i <= std::min(count, kMost); ++i) values.push_back((first + i) * step + 0.0);
  return values;
}

std::string axes(const Scale& scale, double x_step, double y_step, const std::string& x_name) {
  std::string svg;
  const double bottom = kHeight - kBottom;
  for (const double value : ticks(scale.up, y_step)) {
    const double y = scale.y(value);
    svg += svg_line(kLeft, y, kWidth - kRight, y, y > bottom - 0.5 ? "axis" : "grid");
    svg += svg_text(kLeft - 7, y + 4, "end", "label", format("%g", value));
  }
  for (const double value : ticks(scale.across, x_step)) {
    const double x = scale.x(value);
    svg += svg_line(x, bottom, x, bottom + 5, "axis");
    svg += svg_text(x, bottom + 19, "middle", "label", format("%g", value));
  }
  return svg + svg_text((kLeft + kWidth - kRight) / 2, kHeight - 6, "middle", "label", x_name);
}

std::string drawing(const std::string& title, const std::string& content) {
  return format(R"(<svg viewBox="0 0 %.0f %.0f" role="img" aria-label=")", kWidth, kHeight) +
         escape_html(title) + "\">\n" + content + "</svg>\n";
}

// Whole steps around all values.
Interval around(const Interval& values, double step) {
  constexpr double kSlack = 1e-4;  // of a step
  return {std::floor(values.low / step + kSlack) * step,
          std::ceil(values.high / step - kSlack) * step};
}

// The width of an interval, or what can be told apart and drawn where it is nothing beside its
// values.
double drawn_span(const Interval& values) {
  constexpr double kLeast = 1e-9;
  const double size = std::max(std::abs(values.low), std::abs(values.high));
  const double span = values.high - values.low;
  return std::max(span, size > 0 ? kLeast * size : 1);
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
  const double span = top > 0 ? top : largest_value(series);
  const double step = tick_step(span, kMostParts);
  const auto epochs = static_cast<double>(series.front().values.size());
  // A single epoch is drawn in the middle.
  const Scale scale{{epochs > 1 ? 1.0 : 0.0, epochs > 1 ? epochs : 2.0},
                    {0, std::ceil(span / step * 0.9999) * step}};
  const double x_step = std::max(1.0, tick_step(scale.across.high, kMostTicks));
  std::string svg = legend(series) + axes(scale, x_step, step, "epoch");
  for (std::size_t i = 0; i < series.size(); ++i) svg += curve(scale, series[i].values, i + 1);
  return drawing(title, svg);
}

std::string scatter_chart(const std::string& title, const std::vector<Point>& points) {
  Interval values{points[0].x, points[0].x};
  for (const Point& point : points) {
    values.low = std::min({values.low, point.x, point.y});
    values.high = std::max({values.high, point.x, point.y});
  }
  const double step = tick_step(drawn_span(values), kMostParts);
  Interval sides = around(values, step);
  if (!(sides.high > sides.low)) sides = {sides.low - step, sides.low + step};
  const Scale scale{sides, sides};
  std::string svg = axes(scale, step, step, "true") +
                    svg_text(kLeft, 18, "start", "legend", "predicted") +
                    svg_line(scale.x(sides.low), scale.y(sides.low), scale.x(sides.high),
                             scale.y(sides.high), "axis");
  for (std::size_t i = 0; i < points.size(); i += 1 + points.size() / kMostDots) {
    svg += format("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2\" class=\"dot-1\"/>\n",
                  scale.x(points[i].x), scale.y(points[i].y));
  }
  return drawing(title, svg);
}

std::string histogram_chart(const std::string& title, const std::vector<double>& values) {
  const auto [least, most] = std::ranges::minmax(values);
  const double width = tick_step(drawn_span({least, most}), kMostBins);
  const double first = std::floor(least / width);
  const auto bins = static_cast<std::size_t>(std::floor(most / width) - first) + 1;
  std::vector<std::size_t> counts(bins);
  for (const double value : values) {
    const auto bin = static_cast<std::size_t>(std::floor(value / width) - first);
    ++counts[std::min(bin, bins - 1)];
  }
  const auto tallest = static_cast<double>(*std::ranges::max_element(counts));
  const double step = std::max(1.0, tick_step(tallest, kMostParts));
  const Scale scale{{first * width, (first + static_cast<double>(bins)) * width},
                    {0, std::ceil(tallest / step * 0.9999) * step}};
  std::string svg = axes(scale, tick_step(scale.across.high - scale.across.low, kMostParts), step,
                         "predicted - true");
  for (std::size_t i = 0; i < bins; ++i) {
    const double x = scale.x((first + static_cast<double>(i)) * width);
    const double y = scale.y(static_cast<double>(counts[i]));
    svg += format("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"bar\"/>\n", x,
                  y, scale.x((first + static_cast<double>(i) + 1) * width) - x, scale.y(0) - y);
  }
  return drawing(title, svg);
}

}  // namespace lockstep::command
