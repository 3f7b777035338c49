// The register tile of a layer: a few vectors of outputs times a few positions. Weights are loaded as
// vectors, inputs are broadcast. A weight is fetched from far memory once, while the positions are walked
// inside.
#include "openface/patch_experts/dense_layer.h"

#include "openface/core/simd_math.h"

namespace openface::OPENFACE_ISA {

namespace {

#if defined(OPENFACE_ISA_AVX512)
using Lanes = F16;
constexpr int lanes = 16;
constexpr int most_positions = 12;  // 2 x 12 accumulators of 32 registers
#else
using Lanes = F8;
constexpr int lanes = 8;
constexpr int most_positions = 6;  // 2 x 6 accumulators of 16 registers
#endif

OPENFACE_INLINE Lanes load_lanes(const float* p) {
    Lanes v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

OPENFACE_INLINE Lanes broadcast_lanes(float x) {
#if defined(OPENFACE_ISA_AVX512)
    return broadcast16(x);
#else
    return broadcast(x);
#endif
}

OPENFACE_INLINE F8 activate(F8 v, Activation activation) {
    if (activation == Activation::logistic) return logistic(v);
    if (activation == Activation::rectifier) return max(v, zero());
    return v;
}
#if defined(OPENFACE_ISA_AVX512)
OPENFACE_INLINE F16 activate(F16 v, Activation activation) {
    if (activation == Activation::logistic) return join(logistic(low(v)), logistic(high(v)));
    if (activation == Activation::rectifier) return max(v, F16{});
    return v;
}
#endif

// Where one vector of outputs has its weights, and how far it is from one input to the next.
struct Column {
    const float* weights;
    std::ptrdiff_t step;
};

template <int Vectors, int Positions>
OPENFACE_INLINE void tile(const DenseLayer& layer, const Column* columns, const float* bias, const float* in,
                          std::ptrdiff_t in_stride, float* out, std::ptrdiff_t out_stride) {
    Lanes sums[Positions][Vectors] = {};
    const float* weights[Vectors];
    for (int v = 0; v < Vectors; ++v) weights[v] = columns[v].weights;
    // One pointer for four positions: twelve would not fit into the registers of x86.
    constexpr int groups = (Positions + 3) / 4;
    const float* inputs[groups];
    for (int g = 0; g < groups; ++g) inputs[g] = in + 4 * g * in_stride;
    for (int k = 0; k < layer.inputs; ++k) {
        Lanes w[Vectors];
#pragma GCC unroll 2
        for (int v = 0; v < Vectors; ++v) {
            w[v] = load_lanes(weights[v]);
            weights[v] += columns[v].step;
        }
#pragma GCC unroll 12
        for (int p = 0; p < Positions; ++p) {
            const Lanes x = broadcast_lanes(inputs[p / 4][p % 4 * in_stride]);
#pragma GCC unroll 2
            for (int v = 0; v < Vectors; ++v) sums[p][v] = fma(w[v], x, sums[p][v]);
        }
        for (int g = 0; g < groups; ++g) {
            ++inputs[g];
            asm("" : "+r"(inputs[g]));  // keeps the compiler from deriving the pointers from each other
        }
    }
#pragma GCC unroll 12
    for (int p = 0; p < Positions; ++p)
#pragma GCC unroll 2
        for (int v = 0; v < Vectors; ++v)
            store(out + p * out_stride + v * lanes,
                  activate(sums[p][v] + load_lanes(bias + v * lanes), layer.activation));
}

template <int Vectors>
void tile_of(int positions, const DenseLayer& layer, const Column* columns, const float* bias,
             const float* in, std::ptrdiff_t in_stride, float* out, std::ptrdiff_t out_stride) {
#define OPENFACE_TILE(P) \
    case P:              \
        return tile<Vectors, P>(layer, columns, bias, in, in_stride, out, out_stride)
    switch (positions) {
        OPENFACE_TILE(1);
        OPENFACE_TILE(2);
        OPENFACE_TILE(3);
        OPENFACE_TILE(4);
        OPENFACE_TILE(5);
        OPENFACE_TILE(6);
#if defined(OPENFACE_ISA_AVX512)
        OPENFACE_TILE(7);
        OPENFACE_TILE(8);
        OPENFACE_TILE(9);
        OPENFACE_TILE(10);
        OPENFACE_TILE(11);
        OPENFACE_TILE(12);
#endif
    }
#undef OPENFACE_TILE
}

}  // namespace

void evaluate_dense_layer(const DenseLayer& layer, const float* in, std::ptrdiff_t in_stride, int count,
                          float* out, std::ptrdiff_t out_stride) {
    // Tiles of nearly equal height, rather than full ones and a small rest.
    const int tiles = (count + most_positions - 1) / most_positions;
    for (int first = 0; first < layer.outputs; first += 2 * lanes) {
        Column columns[2];
        for (int v = 0; v < 2; ++v) {
            const int output = first + v * lanes;
            const int panel = output / dense_panel * dense_panel;
            const int step = layer.outputs - panel < dense_panel ? layer.outputs - panel : dense_panel;
            columns[v] = {layer.weights + std::ptrdiff_t(panel) * layer.inputs + output % dense_panel, step};
        }
        const bool two = first + lanes < layer.outputs;
        for (int t = 0; t < tiles; ++t) {
            const int begin = int(std::ptrdiff_t(count) * t / tiles);
            const int end = int(std::ptrdiff_t(count) * (t + 1) / tiles);
            const float* tile_in = in + begin * in_stride;
            float* tile_out = out + begin * out_stride + first;
            if (two)
                tile_of<2>(end - begin, layer, columns, layer.bias + first, tile_in, in_stride, tile_out,
                           out_stride);
            else
                tile_of<1>(end - begin, layer, columns, layer.bias + first, tile_in, in_stride, tile_out,
                           out_stride);
        }
    }
}

}  // namespace openface::OPENFACE_ISA
