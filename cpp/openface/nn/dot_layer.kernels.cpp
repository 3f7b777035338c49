#include "openface/nn/dot_layer.h"

#include "openface/core/simd.h"
#include "openface/nn/prelu.h"
#include "openface/nn/term_parts.h"

namespace openface::OPENFACE_ISA {

namespace {

// Vectors and blocks of a tile, so that its sums and the weights in hand fit into the registers.
#if defined(OPENFACE_ISA_AVX512)
constexpr int max_vectors = 8;
constexpr int max_sums = 24;
#else
constexpr int max_vectors = 6;
constexpr int max_sums = 6;
#endif
constexpr int max_blocks = 4;

constexpr int blocks_for(int vectors) {
    return max_sums / vectors < max_blocks ? max_sums / vectors : max_blocks;
}

OPENFACE_INLINE void store_some(float* out, F16 v, int count) {
    F8 part = low(v);
    if (count >= 8) {
        store(out, part);
        part = high(v);
        out += 8;
        count -= 8;
    }
    float lanes[8];
    store(lanes, part);
    for (int i = 0; i < count; ++i) out[i] = lanes[i];
}

// `vectors` vectors times `blocks` blocks of outputs, starting at `block`.
template <int vectors, int blocks>
void dot_tile(const DotWeights& layer, int block, const float* in, float* out) {
    const std::ptrdiff_t block_stride = std::ptrdiff_t(layer.terms) * dot_block;
    const float* weights = layer.weights + block * block_stride;
    const float* vector[vectors];
    F16 total[vectors][blocks];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) {
        vector[v] = in + std::ptrdiff_t(v) * layer.terms;
#pragma GCC unroll 4
        for (int b = 0; b < blocks; ++b) total[v][b] = load16(layer.bias + (block + b) * dot_block);
    }

    std::ptrdiff_t term = 0;
    while (term < layer.terms) {
        const std::ptrdiff_t end = term + next_part(layer.terms - int(term));
        F16 sums[vectors][blocks];
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v)
#pragma GCC unroll 4
            for (int b = 0; b < blocks; ++b) sums[v][b] = broadcast16(0.0f);
        for (; term < end; ++term) {
            F16 weight[blocks];
#pragma GCC unroll 4
            for (int b = 0; b < blocks; ++b) weight[b] = load16(weights + b * block_stride);
            weights += dot_block;
#pragma GCC unroll 8
            for (int v = 0; v < vectors; ++v) {
                const F16 value = broadcast16(vector[v][term]);
#pragma GCC unroll 4
                for (int b = 0; b < blocks; ++b) sums[v][b] = fma(value, weight[b], sums[v][b]);
            }
        }
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v)
#pragma GCC unroll 4
            for (int b = 0; b < blocks; ++b) total[v][b] = total[v][b] + sums[v][b];
    }

    // A layer of one block may spill into the next vector, which is written after it.
    const bool spill = layer.outputs <= dot_block;
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v)
#pragma GCC unroll 4
        for (int b = 0; b < blocks; ++b) {
            const int first = (block + b) * dot_block;
            float* target = out + std::ptrdiff_t(v) * layer.outputs + first;
            const F16 value = activate(total[v][b], load16(layer.slopes + first));
            if (spill || layer.outputs - first >= dot_block)
                store(target, value);
            else
                store_some(target, value, layer.outputs - first);
        }
}

typedef void (*Tile)(const DotWeights&, int, const float*, float*);

template <int vectors>
Tile tile_of(int blocks) {
    if constexpr (blocks_for(vectors) >= 4)
        if (blocks == 4) return dot_tile<vectors, 4>;
    if constexpr (blocks_for(vectors) >= 3)
        if (blocks == 3) return dot_tile<vectors, 3>;
    if constexpr (blocks_for(vectors) >= 2)
        if (blocks == 2) return dot_tile<vectors, 2>;
    return dot_tile<vectors, 1>;
}

Tile tile_of(int vectors, int blocks) {
    switch (vectors) {
        case 1:
            return tile_of<1>(blocks);
        case 2:
            return tile_of<2>(blocks);
        case 3:
            return tile_of<3>(blocks);
        case 4:
            return tile_of<4>(blocks);
        case 5:
            return tile_of<5>(blocks);
#if defined(OPENFACE_ISA_AVX512)
        case 7:
            return tile_of<7>(blocks);
        case 8:
            return tile_of<8>(blocks);
#endif
        default:
            return tile_of<6>(blocks);
    }
}

}  // namespace

// Tiles of nearly equal width; within a tile, passes over nearly equal numbers of blocks.
void dot_vectors(const DotWeights& layer, const float* in, int vectors, float* out) {
    const int all_blocks = (layer.outputs + dot_block - 1) / dot_block;
    for (int tiles = (vectors + max_vectors - 1) / max_vectors; tiles > 0; --tiles) {
        const int count = (vectors + tiles - 1) / tiles;
        const int most = blocks_for(count);
        int block = 0;
        for (int passes = (all_blocks + most - 1) / most; passes > 0; --passes) {
            const int blocks = (all_blocks - block + passes - 1) / passes;
            tile_of(count, blocks)(layer, block, in, out);
            block += blocks;
        }
        in += std::ptrdiff_t(count) * layer.terms;
        out += std::ptrdiff_t(count) * layer.outputs;
        vectors -= count;
    }
}

namespace {

// Eight outputs of `vectors` vectors. A product of two floats is exact in double. The input is converted some
// terms at a time.
template <int vectors>
void dot_tile_in_double(const DotWeights& layer, BiasRounding rounding, int first, const float* in,
                        float* out) {
    constexpr int chunk = 32;
    const float* weights =
        layer.weights + std::ptrdiff_t(first / dot_block) * layer.terms * dot_block + first % dot_block;
    D8 sums[vectors];
    for (int v = 0; v < vectors; ++v) sums[v] = broadcast8d(0.0);
    for (int start = 0; start < layer.terms; start += chunk) {
        const int count = layer.terms - start < chunk ? layer.terms - start : chunk;
        double values[vectors][chunk];
        for (int v = 0; v < vectors; ++v)
            for (int t = 0; t < count; t += 8)
                store(values[v] + t, to_double(load(in + std::ptrdiff_t(v) * layer.terms + start + t)));
        for (int t = 0; t < count; ++t, weights += dot_block) {
            const D8 weight = to_double(load(weights));
#pragma GCC unroll 4
            for (int v = 0; v < vectors; ++v) sums[v] = sums[v] + broadcast8d(values[v][t]) * weight;
        }
    }
    const F8 bias = load(layer.bias + first);
    const F8 slope = load(layer.slopes + first);
    for (int v = 0; v < vectors; ++v) {
        const F8 sum = rounding == BiasRounding::together ? to_float(sums[v] + to_double(bias))
                                                          : to_float(sums[v]) + bias;
        float lanes[8];
        store(lanes, select(sum < zero(), sum * slope, sum));
        const int count = layer.outputs - first < 8 ? layer.outputs - first : 8;
        for (int i = 0; i < count; ++i) out[std::ptrdiff_t(v) * layer.outputs + first + i] = lanes[i];
    }
}

}  // namespace

void dot_vectors_in_double(const DotWeights& layer, BiasRounding rounding, const float* in, int vectors,
                           float* out) {
    const auto run = [&](auto tile, int count) {
        for (int first = 0; first < layer.outputs; first += 8) tile(layer, rounding, first, in, out);
        in += std::ptrdiff_t(count) * layer.terms;
        out += std::ptrdiff_t(count) * layer.outputs;
    };
    for (; vectors >= 4; vectors -= 4) run(dot_tile_in_double<4>, 4);
    for (; vectors > 0; --vectors) run(dot_tile_in_double<1>, 1);
}

}  // namespace openface::OPENFACE_ISA
