// The two loops of face alignment over pixels: which belong to the mask, and what colour they have.
#include "openface/face_analyser/alignment.h"

#include "openface/core/simd.h"

namespace openface::OPENFACE_ISA {

namespace {

// The pixel's side of the edge (p, q), times the side on which the opposite corner lies: not negative means
// inside.
struct Edge {
    float px, py, qx_px, qy_py, inner;

    Edge(const float* p, const float* q, const float* opposite)
        : px(p[0]), py(p[1]), qx_px(q[0] - p[0]), qy_py(q[1] - p[1]) {
        inner = qx_px * (opposite[1] - py) - (opposite[0] - px) * qy_py;
    }
    I8 keeps(F8 x, float y) const {
        const F8 side = broadcast(qx_px * (y - py)) - (x - broadcast(px)) * broadcast(qy_py);
        return side * broadcast(inner) >= broadcast(0.0f);
    }
};

OPENFACE_INLINE float smaller(float a, float b) {
    return a < b ? a : b;
}
OPENFACE_INLINE float larger(float a, float b) {
    return a > b ? a : b;
}
// The first and the last whole number in [low, high] that is a pixel.
OPENFACE_INLINE int first_pixel(float low) {
    if (!(low > 0.0f)) return 0;
    if (low > 65536.0f) return 65536;
    const int whole = int(low);
    return float(whole) < low ? whole + 1 : whole;
}
OPENFACE_INLINE int last_pixel(float high, int size) {
    if (!(high >= 0.0f)) return -1;
    return high >= float(size - 1) ? size - 1 : int(high);
}

// Source position and bilinear weights of a pixel, in 1/32 px.
struct Sample {
    int x, y, fx, fy;

    Sample(int position_x, int position_y)
        : x(position_x >> 10), y(position_y >> 10), fx((position_x >> 5) & 31), fy((position_y >> 5) & 31) {}
};

OPENFACE_INLINE int byte_at(const ViewU8& frame, int x, int y, int channel) {
    if (x < 0 || y < 0 || x >= frame.width || y >= frame.height) return 0;
    return frame.data[y * frame.stride + std::ptrdiff_t(x) * frame.channels + channel];
}

OPENFACE_INLINE std::uint8_t sample_pixel(const ViewU8& frame, const Sample& s, int channel) {
    const int sum = (32 - s.fx) * (32 - s.fy) * byte_at(frame, s.x, s.y, channel) +
                    s.fx * (32 - s.fy) * byte_at(frame, s.x + 1, s.y, channel) +
                    (32 - s.fx) * s.fy * byte_at(frame, s.x, s.y + 1, channel) +
                    s.fx * s.fy * byte_at(frame, s.x + 1, s.y + 1, channel);
    return std::uint8_t((sum + 512) >> 10);
}

OPENFACE_INLINE void store_bytes(std::uint8_t* out, I8 values) {
    typedef std::uint8_t U8 __attribute__((vector_size(8)));
    const U8 bytes = __builtin_convertvector(values, U8);
    std::memcpy(out, &bytes, sizeof bytes);
}

// The two rows that lie some rows below this place are needed soon, and gathers ask too late for what is far
// away.
OPENFACE_INLINE void approach_rows(const ViewU8& frame, std::int32_t offset, int row) {
    constexpr int ahead = 8;
    if (row + ahead + 1 >= frame.height) return;
    const std::uint8_t* further = frame.data + offset + ahead * frame.stride;
    __builtin_prefetch(further);
    __builtin_prefetch(further + frame.stride);
}

OPENFACE_INLINE bool any(I8 mask) {
    std::int64_t words[4];
    std::memcpy(words, &mask, sizeof words);
    return (words[0] | words[1] | words[2] | words[3]) != 0;
}

}  // namespace

void rasterise_triangle(const float* a, const float* b, const float* c, int size, std::int32_t* mask,
                        int stride) {
    const float left = smaller(a[0], smaller(b[0], c[0])), right = larger(a[0], larger(b[0], c[0]));
    const float top = smaller(a[1], smaller(b[1], c[1])), bottom = larger(a[1], larger(b[1], c[1]));
    const int first_x = first_pixel(left), last_x = last_pixel(right, size);
    const int first_y = first_pixel(top), last_y = last_pixel(bottom, size);
    const Edge ab(a, b, c), bc(b, c, a), ca(c, a, b);
    for (int y = first_y; y <= last_y; ++y) {
        for (int x = first_x; x <= last_x; x += 8) {
            const I8 column = broadcast(std::int32_t(x)) + iota();
            const F8 px = to_float(column);
            const float py = float(y);
            const I8 inside = (column <= broadcast(std::int32_t(last_x))) & ab.keeps(px, py) &
                              bc.keeps(px, py) & ca.keeps(px, py);
            std::int32_t* target = mask + std::ptrdiff_t(y) * stride + x;
            store(target, load(target) | inside);
        }
    }
}

void sample_aligned_row(const ViewU8& frame, const std::int32_t* columns_x, const std::int32_t* columns_y,
                        std::int32_t row_x, std::int32_t row_y, int size, const std::int32_t* mask,
                        std::uint8_t* blue, std::uint8_t* green, std::uint8_t* red) {
    // Columns of the frame from which four bytes and those of the right neighbour can be read without leaving
    // the row.
    const int readable = frame.width - (frame.channels == 1 ? 5 : frame.channels == 3 ? 3 : 2);
    const bool small = frame.stride * std::ptrdiff_t(frame.height) < std::ptrdiff_t(1) << 31;
    const int step = frame.channels;
    const int green_shift = step == 1 ? 0 : 8, red_shift = step == 1 ? 0 : 16;
    const int green_channel = step == 1 ? 0 : 1, red_channel = step == 1 ? 0 : 2;
    const I8 byte = broadcast(255);
    for (int x = 0; x < size; x += 8) {
        const I8 kept = load(mask + x);
        if (!any(kept)) {
            store_bytes(blue + x, I8{});
            store_bytes(green + x, I8{});
            store_bytes(red + x, I8{});
            continue;
        }
        const I8 position_x = load(columns_x + x) + row_x, position_y = load(columns_y + x) + row_y;
        const I8 sx = position_x >> 10, sy = position_y >> 10;
        const I8 inside = (sx >= 0) & (sx <= readable) & (sy >= 0) & (sy < frame.height - 1);
        if (small && !any(~inside)) {
            const I8 fx = (position_x >> 5) & 31, fy = (position_y >> 5) & 31;
            const I8 gx = 32 - fx, gy = 32 - fy;
            const I8 w00 = gx * gy, w10 = fx * gy, w01 = gx * fy, w11 = fx * fy;
            const I8 offset = sy * std::int32_t(frame.stride) + sx * step;
            const std::uint8_t* below = frame.data + frame.stride;
            approach_rows(frame, offset[0], sy[0]);
            const I8 p00 = gather_bytes4(frame.data, offset), p10 = gather_bytes4(frame.data + step, offset);
            const I8 p01 = gather_bytes4(below, offset), p11 = gather_bytes4(below + step, offset);
            const auto mix = [&](int shift) {
                const I8 sum = w00 * ((p00 >> shift) & byte) + w10 * ((p10 >> shift) & byte) +
                               w01 * ((p01 >> shift) & byte) + w11 * ((p11 >> shift) & byte);
                return ((sum + 512) >> 10) & kept;
            };
            store_bytes(blue + x, mix(0));
            store_bytes(green + x, mix(green_shift));
            store_bytes(red + x, mix(red_shift));
            continue;
        }
        for (int lane = 0; lane < 8; ++lane) {
            const Sample sample(position_x[lane], position_y[lane]);
            const int keep = kept[lane];
            blue[x + lane] = std::uint8_t(sample_pixel(frame, sample, 0) & keep);
            green[x + lane] = std::uint8_t(sample_pixel(frame, sample, green_channel) & keep);
            red[x + lane] = std::uint8_t(sample_pixel(frame, sample, red_channel) & keep);
        }
    }
}

}  // namespace openface::OPENFACE_ISA
