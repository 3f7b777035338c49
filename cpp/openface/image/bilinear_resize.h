// Part of a colour image -> a float image of another size, bilinear (face-detection.md, sections 2.1, 2.2
// and 2.7).
//
// The part is a rectangle that may reach beyond the image, where pixels count as 0. Rows are interpolated
// horizontally first, then vertically, every product rounded. Each needed source row is read once. The result
// is (value - offset) * scale, so the networks' normalisation costs no extra pass.
#pragma once

#include "openface/core/dispatch.h"
#include "openface/core/image.h"

namespace openface {

// Columns or rows of the source: the part starts at `start` (may be negative) and has `size` of them.
struct Span {
    int start;
    int size;
};

// Where the samples of one axis come from: a pair of neighbours in the image and their weights.
struct BilinearAxis {
    AlignedVector<std::int32_t> first;
    AlignedVector<float> weight0;
    AlignedVector<float> weight1;
};

struct BilinearScratch {
    BilinearAxis columns;  // one entry per output column and colour; `first` is a byte offset
    BilinearAxis rows;
    AlignedVector<float> lines[2];
};

// `bgr` has 3 channels and sides of at least 2. `out` receives width * height * 3 floats, row by row, B, G,
// R; up to 7 more may be overwritten. Sizes are positive.
void resize_bilinear(const ViewU8& bgr, Span columns, Span rows, int width, int height, float offset,
                     float scale, BilinearScratch& scratch, float* out);

// out[k] = byte at row[first[k]] * weight0[k] + byte at row[first[k] + 3] * weight1[k]. Counts are padded
// to 8.
OPENFACE_KERNEL(interpolate_columns, void(const std::uint8_t* row, const std::int32_t* first,
                                          const float* weight0, const float* weight1, float* out, int count));
// out[k] = (upper[k] * weight0 + lower[k] * weight1 - offset) * scale
OPENFACE_KERNEL(interpolate_rows, void(const float* upper, const float* lower, float weight0, float weight1,
                                       float offset, float scale, float* out, int count));

}  // namespace openface
