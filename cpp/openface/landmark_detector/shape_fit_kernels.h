// The hot loops of the landmark fit; what they compute is said in shape_fit.h.
#pragma once

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

// One landmark's mean shift vector in window coordinates: the kernel-weighted mean position of its response
// map minus (dx, dy). kernel_x and kernel_y are rows of the kernel table (padded with anything finite), map
// rows are `stride` apart.
struct WindowShift {
    float x, y;
};
OPENFACE_KERNEL(mean_shift, WindowShift(const float* map, int window, int stride, const float* kernel_x,
                                        const float* kernel_y, float dx, float dy));

// Sum over the window of response times exp(-((dx - column)^2 + (dy - row)^2) / (2 sigma^2)).
OPENFACE_KERNEL(kernel_likelihood,
                float(const float* map, int window, int stride, float dx, float dy, float sigma));

}  // namespace openface
