#include "openface/core/simd_math.h"
#include "openface/landmark_detector/shape_fit_kernels.h"

namespace openface::OPENFACE_ISA {

void window_offsets(const float* current, const float* base, int stride, const WindowTransform& transform,
                    float* offsets) {
    const D8 xx = broadcast8d(transform.xx), xy = broadcast8d(transform.xy), yx = broadcast8d(transform.yx),
             yy = broadcast8d(transform.yy);
    const F8 half = broadcast(transform.half);
    for (int i = 0; i < stride; i += 8) {
        const D8 x = to_double(load(current + i) - load(base + i));
        const D8 y = to_double(load(current + stride + i) - load(base + stride + i));
        store(offsets + i, to_float(xx * x + xy * y) + half);
        store(offsets + stride + i, to_float(yx * x + yy * y) + half);
    }
}

// The kernel exp(-(x^2 + y^2) / 2s^2) is a product of one factor per row and one per column.
WindowShift mean_shift(const float* map, int window, int stride, const float* kernel_x, const float* kernel_y,
                       float dx, float dy) {
    F8 total = zero(), total_x = zero(), total_y = zero();
    for (int x = 0; x < window; x += 8) {
        F8 column = zero(), column_y = zero();
        for (int y = 0; y < window; ++y) {
            const F8 k = load(map + y * stride + x) * broadcast(kernel_y[y]);
            column = column + k;
            column_y = fma(k, broadcast(float(y)), column_y);
        }
        const F8 kx = load(kernel_x + x);
        const F8 weighted = column * kx;
        total = total + weighted;
        total_x = fma(weighted, to_float(iota() + x), total_x);
        total_y = fma(column_y, kx, total_y);
    }
    const float mass = sum(total);
    return {sum(total_x) / mass - dx, sum(total_y) / mass - dy};
}

float kernel_likelihood(const float* map, int window, int stride, float dx, float dy, float sigma) {
    const float factor = -0.5f / (sigma * sigma);
    float kernel_y[104];
    for (int y = 0; y < window; y += 8) {
        const F8 d = broadcast(dy) - to_float(iota() + y);
        store(kernel_y + y, exp(d * d * broadcast(factor)));
    }
    F8 total = zero();
    for (int x = 0; x < window; x += 8) {
        F8 column = zero();
        for (int y = 0; y < window; ++y)
            column = fma(load(map + y * stride + x), broadcast(kernel_y[y]), column);
        const F8 d = broadcast(dx) - to_float(iota() + x);
        total = fma(column, exp(d * d * broadcast(factor)), total);
    }
    return sum(total);
}

}  // namespace openface::OPENFACE_ISA
