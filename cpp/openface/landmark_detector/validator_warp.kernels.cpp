#include "openface/landmark_detector/validator_warp.h"

#include "openface/core/simd.h"

namespace openface::OPENFACE_ISA {

// The fused operations are those that section 5 of validation.md names.
void triangle_maps(const WarpTriangles& triangles, const float* x, const float* y, const WarpMaps& maps) {
    const float* landmarks[2] = {x, y};
    for (int t = 0; t < triangles.count; t += 8) {
        F8 alpha[3], beta[3];
        for (int p = 0; p < 3; ++p) {
            alpha[p] = load(triangles.alpha[p] + t);
            beta[p] = load(triangles.beta[p] + t);
        }
        for (int c = 0; c < 2; ++c) {
            const F8 origin = gather(landmarks[c], load(triangles.vertices[0] + t));
            const F8 first = gather(landmarks[c], load(triangles.vertices[1] + t)) - origin;
            const F8 second = gather(landmarks[c], load(triangles.vertices[2] + t)) - origin;
            store(maps.maps[c][0] + t, fma(second, beta[0], fma(first, alpha[0], origin)));
            store(maps.maps[c][1] + t, fma(first, alpha[1], second * beta[1]));
            store(maps.maps[c][2] + t, fma(first, alpha[2], second * beta[2]));
        }
    }
}

namespace {

// Positions in 1/32 px, halves to even; far away is as good as outside.
OPENFACE_INLINE I8 position(const WarpMaps& maps, int coordinate, I8 triangle, F8 x, F8 y) {
    const F8 constant = gather(maps.maps[coordinate][0], triangle);
    const F8 by_x = gather(maps.maps[coordinate][1], triangle);
    const F8 by_y = gather(maps.maps[coordinate][2], triangle);
    const F8 p = min(max(fma(by_y, y, fma(by_x, x, constant)), broadcast(-65536.0f)), broadcast(65536.0f));
    return to_int(round_even(p * broadcast(32.0f)));
}

OPENFACE_INLINE I8 limit(I8 v, int highest) {
    v = select(v < 0, broadcast(0), v);
    return select(v > highest, broadcast(highest), v);
}

// Grey value at (x, y) times 32 - f plus that at (x + 1, y) times f; what is outside the region counts as 0.
OPENFACE_INLINE I8 row_value(const WarpRegion& region, I8 x, I8 y, I8 fraction) {
    const I8 word = gather_bytes4(
        region.data, limit(y, region.height - 1) * std::int32_t(region.stride) + limit(x, region.width - 1));
    const I8 inside = (y >= 0) & (y < region.height);
    const I8 left = word & 255 & inside & (x >= 0) & (x < region.width);
    // In the column before the region the word starts one pixel later.
    const I8 next = select(x < 0, word, word >> 8);
    const I8 right = next & 255 & inside & (x >= -1) & (x < region.width - 1);
    return left * (32 - fraction) + right * fraction;
}

}  // namespace

// Weights are multiples of 1/1024, so integers hold the bilinear sum exactly, and so does a float.
void warp_pixels(const WarpRegion& region, const WarpPixels& pixels, const WarpMaps& maps, float* values) {
    for (int i = 0; i < pixels.count; i += 8) {
        const I8 triangle = load(pixels.triangle + i);
        const F8 reference_x = load(pixels.x + i);
        const F8 reference_y = load(pixels.y + i);
        const I8 qx = position(maps, 0, triangle, reference_x, reference_y);
        const I8 qy = position(maps, 1, triangle, reference_x, reference_y);
        const I8 x = qx >> 5;
        const I8 y = qy >> 5;
        const I8 fraction = qy & 31;
        const I8 value = row_value(region, x, y, qx & 31) * (32 - fraction) +
                         row_value(region, x, y + 1, qx & 31) * fraction;
        store(values + i, to_float(value) * broadcast(1.0f / 1024.0f));
    }
}

void sum_values(const float* values, int count, double& total, double& total_of_squares) {
    D8 sums{}, squares{};
    for (int i = 0; i < count; i += 8) {
        const D8 value = to_double(load(values + i));
        sums += value;
        squares += value * value;
    }
    total = sum(sums);
    total_of_squares = sum(squares);
}

void normalise_values(const float* values, float centre, float factor, const float* mean,
                      const float* deviation, float* out, int count) {
    for (int i = 0; i < count; i += 8) {
        const F8 value = (load(values + i) - broadcast(centre)) * broadcast(factor);
        store(out + i, (value - load(mean + i)) / load(deviation + i));
    }
}

}  // namespace openface::OPENFACE_ISA
