// Convolution and pooling of planar maps, one plane per channel, for networks of few channels on wide maps.
//
// Rows of a plane are padded(width) floats apart. The SIMD lanes are neighbouring output columns, computed up
// to the padded width; what stands in the padding has no meaning. Every output is one chain of fused
// multiply-adds from the bias on, over input maps, kernel rows and kernel columns, so nothing depends on the
// vector width.
#pragma once

#include <cstddef>

#include "openface/core/dispatch.h"

namespace openface {

struct PlanarConvolution {
    const float* weights;  // [input][kernel row][kernel column][output]
    const float* bias;
    int inputs;
    int outputs;
    int kernel_height;
    int kernel_width;
    bool relu;
};

// The planes of a set of maps: where the first is, and how far apart rows and planes are.
struct Planes {
    float* data;
    std::ptrdiff_t row_stride;
    std::ptrdiff_t plane_stride;
};

// Reads up to planar_slack floats behind the input; they need not have a meaning but must exist.
OPENFACE_KERNEL(convolve_planar,
                void(const PlanarConvolution& layer, const Planes& in, const Planes& out, int out_height));
// Maximum of 2 x 2 windows, stride 2, cut at the border: height x width -> ceil(height / 2) x ceil(width /
// 2).
OPENFACE_KERNEL(pool_planar, void(const Planes& in, const Planes& out, int planes, int height, int width));

inline constexpr int planar_slack = 128;

}  // namespace openface
