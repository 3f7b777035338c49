// The hot loops of the landmark fit; what they compute is said in shape_fit.h.
#pragma once

#include <cstdint>

#include "openface/core/dispatch.h"

namespace openface {

// Offsets of the landmarks in window coordinates: (dx, dy) = S (current - base) + half, S = [[xx, xy],
// [yx, yy]], in double, rounded to float. All arrays are x then y, `stride` floats apart; stride is a
// multiple of 8.
struct WindowTransform {
    float xx, xy, yx, yy, half;
};
OPENFACE_KERNEL(window_offsets, void(const float* current, const float* base, int stride,
                                     const WindowTransform& transform, float* offsets));

// Offsets limited to the window, [0, highest], and the nearest points of a grid with step 0.1. An offset that
// is not a number (after a degenerate step) counts as 0. count is a multiple of 8.
OPENFACE_KERNEL(window_grid,
                void(const float* offsets, int count, float highest, float* limited, std::int32_t* indices));

// Landmarks whose mean shifts are computed together; each has a lane.
inline constexpr int mean_shift_lanes = 8;
// The floats of one kernel, and the positions of one group of interleaved maps.
constexpr int kernel_size(int window) {
    return (window * window + 7) / 8 * 8;
}

// Eight response maps (rows `stride` apart; null for none) to one array in which the eight values of a
// position are neighbours: kernel_size(window) times 8 floats, positions row by row.
OPENFACE_KERNEL(interleave_maps, void(const float* const* maps, int window, int stride, float* interleaved));

// exp(a ((x - column)^2 + (y - row)^2)) at each position, row by row: kernel_size(window) floats, rounded as
// the reference rounds its table (landmark-fitting.md, section 9.3, item 10).
OPENFACE_KERNEL(mean_shift_kernel, void(float x, float y, float a, int window, float* kernel));

// Mean shift vectors of two groups of eight landmarks in window coordinates: the kernel-weighted mean
// position of each response map minus the landmark's offset (dx, dy). kernels: one per landmark; values are
// summed row by row in float, as the reference sums them.
struct MeanShiftGroups {
    const float* maps[2];         // interleaved
    const float* const* kernels;  // 16
    const float* dx;              // 16
    const float* dy;              // 16
    float* shift_x;               // 16
    float* shift_y;               // 16
};
OPENFACE_KERNEL(mean_shifts, void(const MeanShiftGroups& groups, int window));

// Sum over the window of response times exp(-((dx - column)^2 + (dy - row)^2) / (2 sigma^2)).
OPENFACE_KERNEL(kernel_likelihood,
                float(const float* map, int window, int stride, float dx, float dy, float sigma));

}  // namespace openface
