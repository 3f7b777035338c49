#include "openface/nn/planar_layers.h"

#include "openface/core/simd.h"

namespace openface::OPENFACE_ISA {

namespace {

// Output maps computed together: two rows of each are kept in registers.
#if defined(OPENFACE_ISA_AVX512)
constexpr int max_group = 10;
#else
constexpr int max_group = 6;
#endif

OPENFACE_INLINE void load_lanes(const float* p, F8& v) {
    v = load(p);
}
OPENFACE_INLINE void set_lanes(float x, F8& v) {
    v = broadcast(x);
}
#if defined(OPENFACE_ISA_AVX512)
OPENFACE_INLINE void load_lanes(const float* p, F16& v) {
    v = load16(p);
}
OPENFACE_INLINE void set_lanes(float x, F16& v) {
    v = broadcast16(x);
}
#endif

// The columns of one vector V in two output rows, which start `second_in` and `second_out` apart.
template <class V, int group>
OPENFACE_INLINE void convolve_two_rows(const PlanarConvolution& layer, int first, const Planes& in,
                                       const float* source, std::ptrdiff_t second_in, float* target,
                                       std::ptrdiff_t second_out, std::ptrdiff_t out_plane) {
    V sums[group][2];
#pragma GCC unroll 10
    for (int k = 0; k < group; ++k) {
        set_lanes(layer.bias[first + k], sums[k][0]);
        sums[k][1] = sums[k][0];
    }
    const float* weights = layer.weights + first;
    for (int map = 0; map < layer.inputs; ++map)
        for (int row = 0; row < layer.kernel_height; ++row) {
            const float* window = source + map * in.plane_stride + row * in.row_stride;
            for (std::ptrdiff_t column = 0; column < layer.kernel_width; ++column) {
                V upper, lower;
                load_lanes(window + column, upper);
                load_lanes(window + column + second_in, lower);
#pragma GCC unroll 10
                for (int k = 0; k < group; ++k) {
                    V weight;
                    set_lanes(weights[k], weight);
                    sums[k][0] = fma(weight, upper, sums[k][0]);
                    sums[k][1] = fma(weight, lower, sums[k][1]);
                }
                weights += layer.outputs;
            }
        }
    V floor;
    set_lanes(0.0f, floor);
#pragma GCC unroll 10
    for (int k = 0; k < group; ++k) {
        float* plane = target + k * out_plane;
        store(plane, layer.relu ? max(sums[k][0], floor) : sums[k][0]);
        store(plane + second_out, layer.relu ? max(sums[k][1], floor) : sums[k][1]);
    }
}

#if defined(OPENFACE_ISA_AVX512)
// Eight columns in two rows as one vector of sixteen lanes: for widths that are no multiple of sixteen.
template <int group>
OPENFACE_INLINE void convolve_joined_rows(const PlanarConvolution& layer, int first, const Planes& in,
                                          const float* source, std::ptrdiff_t second_in, float* target,
                                          std::ptrdiff_t second_out, std::ptrdiff_t out_plane) {
    F16 sums[group];
#pragma GCC unroll 10
    for (int k = 0; k < group; ++k) sums[k] = broadcast16(layer.bias[first + k]);
    const float* weights = layer.weights + first;
    for (int map = 0; map < layer.inputs; ++map)
        for (int row = 0; row < layer.kernel_height; ++row) {
            const float* window = source + map * in.plane_stride + row * in.row_stride;
            for (std::ptrdiff_t column = 0; column < layer.kernel_width; ++column) {
                const F16 both = join(load(window + column), load(window + column + second_in));
#pragma GCC unroll 10
                for (int k = 0; k < group; ++k) sums[k] = fma(broadcast16(weights[k]), both, sums[k]);
                weights += layer.outputs;
            }
        }
#pragma GCC unroll 10
    for (int k = 0; k < group; ++k) {
        const F16 value = layer.relu ? max(sums[k], broadcast16(0.0f)) : sums[k];
        store(target + k * out_plane, low(value));
        store(target + k * out_plane + second_out, high(value));
    }
}
#endif

// All columns of two output rows for `group` output maps.
template <int group>
void convolve_row_pair(const PlanarConvolution& layer, int first, const Planes& in, const float* source,
                       std::ptrdiff_t second_in, float* target, std::ptrdiff_t second_out,
                       const Planes& out) {
    std::ptrdiff_t x = 0;
#if defined(OPENFACE_ISA_AVX512)
    for (; x + 16 <= out.row_stride; x += 16)
        convolve_two_rows<F16, group>(layer, first, in, source + x, second_in, target + x, second_out,
                                      out.plane_stride);
    if (x < out.row_stride)
        convolve_joined_rows<group>(layer, first, in, source + x, second_in, target + x, second_out,
                                    out.plane_stride);
#else
    for (; x < out.row_stride; x += 8)
        convolve_two_rows<F8, group>(layer, first, in, source + x, second_in, target + x, second_out,
                                     out.plane_stride);
#endif
}

typedef void (*RowPair)(const PlanarConvolution&, int, const Planes&, const float*, std::ptrdiff_t, float*,
                        std::ptrdiff_t, const Planes&);

RowPair row_pair_of(int group) {
    switch (group) {
        case 1:
            return convolve_row_pair<1>;
        case 2:
            return convolve_row_pair<2>;
        case 3:
            return convolve_row_pair<3>;
        case 4:
            return convolve_row_pair<4>;
        case 5:
            return convolve_row_pair<5>;
#if defined(OPENFACE_ISA_AVX512)
        case 7:
            return convolve_row_pair<7>;
        case 8:
            return convolve_row_pair<8>;
        case 9:
            return convolve_row_pair<9>;
        case 10:
            return convolve_row_pair<10>;
#endif
        default:
            return convolve_row_pair<6>;
    }
}

}  // namespace

// Groups of output maps of nearly equal size, pairs of rows; the last row of an odd number makes a pair with
// the one above it, which is then computed twice.
void convolve_planar(const PlanarConvolution& layer, const Planes& in, const Planes& out, int out_height) {
    const std::ptrdiff_t second_in = out_height > 1 ? in.row_stride : 0;
    const std::ptrdiff_t second_out = out_height > 1 ? out.row_stride : 0;
    int first = 0;
    for (int groups = (layer.outputs + max_group - 1) / max_group; groups > 0; --groups) {
        const int group = (layer.outputs - first + groups - 1) / groups;
        const RowPair row_pair = row_pair_of(group);
        for (int pair = 0; pair < out_height; pair += 2) {
            const int y = pair + 1 < out_height || pair == 0 ? pair : pair - 1;
            row_pair(layer, first, in, in.data + y * in.row_stride, second_in,
                     out.data + first * out.plane_stride + y * out.row_stride, second_out, out);
        }
        first += group;
    }
}

namespace {

OPENFACE_INLINE float larger(float a, float b) {
    return a > b ? a : b;
}

}  // namespace

void pool_planar(const Planes& in, const Planes& out, int planes, int height, int width) {
    for (int plane = 0; plane < planes; ++plane)
        for (int y = 0; y < height; y += 2) {
            const float* upper = in.data + plane * in.plane_stride + y * in.row_stride;
            const float* lower = y + 1 < height ? upper + in.row_stride : upper;
            float* target = out.data + plane * out.plane_stride + y / 2 * out.row_stride;
            const int whole = width / 2;
            for (int x = 0; x < whole; ++x)
                target[x] =
                    larger(larger(upper[2 * x], upper[2 * x + 1]), larger(lower[2 * x], lower[2 * x + 1]));
            if (width % 2 == 1) target[whole] = larger(upper[width - 1], lower[width - 1]);
        }
}

}  // namespace openface::OPENFACE_ISA
