#include "openface/image/bilinear_resize.h"

#include <algorithm>
#include <cmath>

namespace openface {

namespace {

struct Sample {
    int first;  // the pair first, first + 1 lies inside the image
    float weight0;
    float weight1;
};

// Output sample k of an axis that has `size` inputs, `ratio` of them per output (section 2.2), moved into the
// image.
Sample sample_at(int k, Span span, double ratio, int image_size) {
    const float position = float((k + 0.5) * ratio - 0.5);
    const float floor_position = std::floor(position);
    int index = int(floor_position);
    float fraction = position - floor_position;
    if (index < 0 || index >= span.size - 1) {
        index = index < 0 ? 0 : span.size - 1;
        fraction = 0.0f;
    }
    const int left = span.start + index;
    if (left == -1) return {0, fraction, 0.0f};  // only the right neighbour is inside the image
    if (left < 0 || left >= image_size) return {0, 0.0f, 0.0f};
    // The last column has no neighbour inside: name it as the right one of its pair.
    if (left == image_size - 1) return {image_size - 2, 0.0f, 1.0f - fraction};
    return {left, 1.0f - fraction, fraction};
}

void fill_axis(BilinearAxis& axis, int count, Span span, int image_size, int repeat) {
    const std::size_t lanes = std::size_t(padded(count * repeat));
    axis.first.assign(lanes, 0);
    axis.weight0.assign(lanes, 0.0f);
    axis.weight1.assign(lanes, 0.0f);
    const double ratio = 1.0 / (double(count) / double(span.size));
    std::size_t k = 0;
    for (int i = 0; i < count; ++i) {
        const Sample sample = sample_at(i, span, ratio, image_size);
        for (int colour = 0; colour < repeat; ++colour, ++k) {
            axis.first[k] = sample.first * repeat + colour;
            axis.weight0[k] = sample.weight0;
            axis.weight1[k] = sample.weight1;
        }
    }
}

// The two horizontally interpolated source rows in hand.
class Lines {
  public:
    Lines(const ViewU8& bgr, const BilinearAxis& columns, int count, AlignedVector<float> (&lines)[2])
        : bgr_(bgr), columns_(columns), count_(count), lines_(lines) {
        for (AlignedVector<float>& line : lines_)
            if (line.size() < std::size_t(count)) line.resize(std::size_t(count));
    }

    const float* get(int row) {
        const int slot = row & 1;
        float* line = lines_[slot].data();
        if (held_[slot] != row) {
            held_[slot] = row;
            interpolate_columns(bgr_.row(row), columns_.first.data(), columns_.weight0.data(),
                                columns_.weight1.data(), line, count_);
        }
        return line;
    }

  private:
    const ViewU8& bgr_;
    const BilinearAxis& columns_;
    int count_;
    AlignedVector<float> (&lines_)[2];
    int held_[2] = {-1, -1};
};

}  // namespace

void resize_bilinear(const ViewU8& bgr, Span columns, Span rows, int width, int height, float offset,
                     float scale, BilinearScratch& scratch, float* out) {
    fill_axis(scratch.columns, width, columns, bgr.width, 3);
    fill_axis(scratch.rows, height, rows, bgr.height, 1);
    const int count = padded(3 * width);
    Lines lines(bgr, scratch.columns, count, scratch.lines);
    for (int y = 0; y < height; ++y, out += 3 * width) {
        const int row = scratch.rows.first[std::size_t(y)];
        const float* upper = lines.get(row);
        const float* lower = lines.get(row + 1);
        interpolate_rows(upper, lower, scratch.rows.weight0[std::size_t(y)],
                         scratch.rows.weight1[std::size_t(y)], offset, scale, out, count);
    }
}

}  // namespace openface
