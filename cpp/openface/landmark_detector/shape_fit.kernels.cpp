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

void window_grid(const float* offsets, int count, float highest, float* limited, std::int32_t* indices) {
    for (int i = 0; i < count; i += 8) {
        const F8 offset = load(offsets + i);
        const F8 inside = select(offset >= 0.0f, min(offset, broadcast(highest)), zero());
        store(limited + i, inside);
        // The quotient is rounded to float, the half is added in double; the sum is not negative.
        store(indices + i, to_int(to_double(inside / broadcast(0.1f)) + 0.5));
    }
}

void interleave_maps(const float* const* maps, int window, int stride, float* interleaved) {
    for (int y = 0; y < window; ++y)
        for (int x = 0; x < window; x += 8) {
            F8 rows[8];
            for (int lane = 0; lane < 8; ++lane)
                rows[lane] = maps[lane] == nullptr ? zero() : load(maps[lane] + y * stride + x);
            transpose(rows);
            float* out = interleaved + (y * window + x) * 8;
            for (int i = 0; i < 8 && x + i < window; ++i) store(out + 8 * i, rows[i]);
        }
    for (int i = window * window; i < kernel_size(window); ++i) store(interleaved + 8 * i, zero());
}

void mean_shift_kernel(float x, float y, float a, int window, float* kernel) {
    const int count = window * window;
    float exponents[8];
    for (int first = 0; first < count; first += 8) {
        for (int i = 0; i < 8; ++i) {
            const int position = first + i < count ? first + i : count - 1;
            const float right = x - float(position % window), down = y - float(position / window);
            exponents[i] = a * fma(right, right, down * down);
        }
        store(kernel + first, to_float(exp_in_double(load(exponents))));
    }
}

void mean_shifts(const MeanShiftGroups& groups, int window) {
    F8 total[2], total_x[2], total_y[2];
    for (int g = 0; g < 2; ++g) total[g] = total_x[g] = total_y[g] = zero();
    const int count = window * window;
    int column = 0, row = 0;
    for (int first = 0; first < count; first += 8) {
        F8 kernels[2][8];
        for (int g = 0; g < 2; ++g) {
            for (int lane = 0; lane < 8; ++lane)
                kernels[g][lane] = load(groups.kernels[8 * g + lane] + first);
            transpose(kernels[g]);
        }
        const int here = count - first < 8 ? count - first : 8;
        for (int i = 0; i < here; ++i) {
            const F8 x = broadcast(float(column)), y = broadcast(float(row));
            for (int g = 0; g < 2; ++g) {
                const F8 k = load(groups.maps[g] + (first + i) * 8) * kernels[g][i];
                total[g] = total[g] + k;
                total_x[g] = fma(k, x, total_x[g]);
                total_y[g] = fma(k, y, total_y[g]);
            }
            if (++column == window) {
                column = 0;
                ++row;
            }
        }
    }
    for (int g = 0; g < 2; ++g) {
        store(groups.shift_x + 8 * g, total_x[g] / total[g] - load(groups.dx + 8 * g));
        store(groups.shift_y + 8 * g, total_y[g] / total[g] - load(groups.dy + 8 * g));
    }
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
