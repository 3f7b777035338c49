#include "openface/image/area_warp.h"

#include "openface/core/simd.h"

namespace openface::OPENFACE_ISA {

namespace {

constexpr int largest_area = 136;  // window 99, support 31, and some slack

// Rounds to the nearest integer, halves to even; |v| < 2^31 afterwards.
OPENFACE_INLINE I8 round_even_int(D8 v) {
    const D8 magic = broadcast8d(6755399441055744.0);  // 1.5 * 2^52
    return to_int((v + magic) - magic);
}

OPENFACE_INLINE double limited(double v) {
    return v < -1e6 ? -1e6 : v > 1e6 ? 1e6 : v == v ? v : -1e6;
}

// One sample near or outside the border: every tap outside the image counts as 0.
float sample_border(const ViewU8& grey, int u, int v) {
    const int x = u >> 5, y = v >> 5;
    const float fx = float(u & 31) * (1.0f / 32.0f), fy = float(v & 31) * (1.0f / 32.0f);
    const auto tap = [&](int px, int py) {
        return px >= 0 && py >= 0 && px < grey.width && py < grey.height ? float(grey.row(py)[px]) : 0.0f;
    };
    const float top = tap(x, y) * (1.0f - fx) + tap(x + 1, y) * fx;
    const float bottom = tap(x, y + 1) * (1.0f - fx) + tap(x + 1, y + 1) * fx;
    return top * (1.0f - fy) + bottom * fy;
}

}  // namespace

// Grey levels have 8 bits and each weight 5, so all products and sums below are exact in float, in any order.
void sample_area(const ViewU8& grey, const AreaMap& map, int size, float* area, int stride) {
    alignas(64) std::int32_t x_u[largest_area + 8], x_v[largest_area + 8];
    alignas(64) std::int32_t y_u[largest_area + 8], y_v[largest_area + 8];
    const double a = limited(map.a), b = limited(map.b), m02 = limited(map.m02), m12 = limited(map.m12);
    const double minus_b = -b;
    for (int i = 0; i < size; i += 8) {
        const D8 n = to_double(iota() + i);
        store(x_u + i, round_even_int((n * a) * 1024.0));
        store(x_v + i, round_even_int((n * b) * 1024.0));
        store(y_u + i, round_even_int((n * minus_b + m02) * 1024.0) + 16);
        store(y_v + i, round_even_int((n * a + m12) * 1024.0) + 16);
    }
    const int last = size - 1;
    bool inside = true;
    for (const int cx : {0, last})
        for (const int cy : {0, last}) {
            const int px = (x_u[cx] + y_u[cy]) >> 10, py = (x_v[cx] + y_v[cy]) >> 10;
            inside = inside && px >= 1 && py >= 1 && px < grey.width - 2 && py < grey.height - 2;
        }
    if (!inside) {
        for (int y = 0; y < size; ++y) {
            float* row = area + y * stride;
            for (int x = 0; x < size; ++x)
                row[x] = sample_border(grey, (x_u[x] + y_u[y]) >> 5, (x_v[x] + y_v[y]) >> 5);
            for (int x = size; x < stride; ++x) row[x] = 0.0f;
        }
        return;
    }
    // Lanes past the end repeat the area's last column, so that they stay inside the image too.
    for (int x = size; x % 8 != 0; ++x) {
        x_u[x] = x_u[last];
        x_v[x] = x_v[last];
    }
    const std::int32_t row_step = std::int32_t(grey.stride);
    for (int y = 0; y < size; ++y) {
        float* row = area + y * stride;
        for (int x = 0; x < size; x += 8) {
            const I8 u = (load(x_u + x) + y_u[y]) >> 5, v = (load(x_v + x) + y_v[y]) >> 5;
            const I8 offset = (v >> 5) * row_step + (u >> 5);
            const I8 upper = gather_bytes4(grey.data, offset);
            const I8 lower = gather_bytes4(grey.data, offset + row_step);
            const F8 fx = to_float(u & 31) * broadcast(1.0f / 32.0f);
            const F8 fy = to_float(v & 31) * broadcast(1.0f / 32.0f);
            const F8 p00 = to_float(upper & 255), p10 = to_float((upper >> 8) & 255);
            const F8 p01 = to_float(lower & 255), p11 = to_float((lower >> 8) & 255);
            const F8 top = fma(p10 - p00, fx, p00);
            const F8 bottom = fma(p11 - p01, fx, p01);
            store(row + x, fma(bottom - top, fy, top));
        }
        for (int x = padded(size); x < stride; ++x) row[x] = 0.0f;
    }
}

}  // namespace openface::OPENFACE_ISA
