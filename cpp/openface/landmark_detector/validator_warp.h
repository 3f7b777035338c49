// The validator's inner loops: a face warped triangle by triangle into a reference frame, and its
// normalisation (validation.md, sections 5 and 6).
#pragma once

#include <cstddef>
#include <cstdint>

#include "openface/core/dispatch.h"

namespace openface {

// Triangles as structure of arrays; counts are padded to 8, arrays hold as many.
struct WarpTriangles {
    const std::int32_t* vertices[3];  // landmark indices
    const float* alpha[3];
    const float* beta[3];
    int count;
};

// Per coordinate c (x, y) and power p (1, X, Y) the affine map of every triangle: maps[c][p][triangle].
struct WarpMaps {
    float* maps[2][3];
};

// x[landmark], y[landmark] in the coordinates of the region.
OPENFACE_KERNEL(triangle_maps,
                void(const WarpTriangles& triangles, const float* x, const float* y, const WarpMaps& maps));

// The part of the grey image that may be sampled. Up to 3 bytes behind its last pixel are read.
struct WarpRegion {
    const std::uint8_t* data;
    std::ptrdiff_t stride;
    int width;
    int height;
};

// Pixels of the reference frame: positions and triangle of each; the count is padded to 8.
struct WarpPixels {
    const float* x;
    const float* y;
    const std::int32_t* triangle;
    int count;
};

OPENFACE_KERNEL(warp_pixels, void(const WarpRegion& region, const WarpPixels& pixels, const WarpMaps& maps,
                                  float* values));

// Sums of values and of their squares in double. The count is padded to 8, padding must be 0.
OPENFACE_KERNEL(sum_values, void(const float* values, int count, double& total, double& total_of_squares));

// out = ((value - centre) * factor - mean) / deviation, count padded to 8.
OPENFACE_KERNEL(normalise_values, void(const float* values, float centre, float factor, const float* mean,
                                       const float* deviation, float* out, int count));

}  // namespace openface
