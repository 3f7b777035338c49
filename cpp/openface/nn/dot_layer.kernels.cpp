#include "openface/nn/dot_layer.h"

#include "openface/core/simd.h"

namespace openface::OPENFACE_ISA {

namespace {

// Positions and blocks of a tile, so that its sums and the weights in hand fit into the registers.
#if defined(OPENFACE_ISA_AVX512)
constexpr int max_positions = 8;
constexpr int max_sums = 24;
#else
constexpr int max_positions = 6;
constexpr int max_sums = 6;
#endif
constexpr int max_blocks = 4;

constexpr int blocks_for(int positions) {
    return max_sums / positions < max_blocks ? max_sums / positions : max_blocks;
}

OPENFACE_INLINE F16 activate(F16 v, F16 slope) {
#if defined(OPENFACE_ISA_AVX512)
    return F16(_mm512_mask_mul_ps(__m512(v), _mm512_cmp_ps_mask(__m512(v), _mm512_setzero_ps(), _CMP_LT_OQ),
                                  __m512(v), __m512(slope)));
#else
    return join(select(low(v) < zero(), low(v) * low(slope), low(v)),
                select(high(v) < zero(), high(v) * high(slope), high(v)));
#endif
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

// `positions` windows times `blocks` blocks of outputs, starting at `block`.
template <int positions, int blocks>
void dot_tile(const DotWeights& layer, int block, const float* in, std::ptrdiff_t position_stride,
              std::ptrdiff_t row_stride, float* out, std::ptrdiff_t out_stride) {
    const std::ptrdiff_t block_stride = std::ptrdiff_t(layer.rows) * layer.run * dot_block;
    const float* weights = layer.weights + block * block_stride;
    F16 sums[positions][blocks];
#pragma GCC unroll 8
    for (int p = 0; p < positions; ++p)
#pragma GCC unroll 4
        for (int b = 0; b < blocks; ++b) sums[p][b] = load16(layer.bias + (block + b) * dot_block);

    for (int row = 0; row < layer.rows; ++row) {
        const float* window[positions];
#pragma GCC unroll 8
        for (int p = 0; p < positions; ++p) window[p] = in + row * row_stride + p * position_stride;
        for (std::ptrdiff_t j = 0; j < layer.run; ++j) {
            F16 weight[blocks];
#pragma GCC unroll 4
            for (int b = 0; b < blocks; ++b) weight[b] = load16(weights + b * block_stride);
            weights += dot_block;
#pragma GCC unroll 8
            for (int p = 0; p < positions; ++p) {
                const F16 value = broadcast16(window[p][j]);
#pragma GCC unroll 4
                for (int b = 0; b < blocks; ++b) sums[p][b] = fma(value, weight[b], sums[p][b]);
            }
        }
    }

    // A layer of one block may spill into the next position, which is written after it.
    const bool spill = layer.outputs <= dot_block;
#pragma GCC unroll 8
    for (int p = 0; p < positions; ++p)
#pragma GCC unroll 4
        for (int b = 0; b < blocks; ++b) {
            const int first = (block + b) * dot_block;
            float* target = out + p * out_stride + first;
            const F16 value = activate(sums[p][b], load16(layer.slopes + first));
            if (spill || layer.outputs - first >= dot_block)
                store(target, value);
            else
                store_some(target, value, layer.outputs - first);
        }
}

typedef void (*Tile)(const DotWeights&, int, const float*, std::ptrdiff_t, std::ptrdiff_t, float*,
                     std::ptrdiff_t);

template <int positions>
Tile tile_of(int blocks) {
    if constexpr (blocks_for(positions) >= 4)
        if (blocks == 4) return dot_tile<positions, 4>;
    if constexpr (blocks_for(positions) >= 3)
        if (blocks == 3) return dot_tile<positions, 3>;
    if constexpr (blocks_for(positions) >= 2)
        if (blocks == 2) return dot_tile<positions, 2>;
    return dot_tile<positions, 1>;
}

Tile tile_of(int positions, int blocks) {
    switch (positions) {
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
void dot_positions(const DotWeights& layer, const float* in, std::ptrdiff_t position_stride,
                   std::ptrdiff_t row_stride, int positions, float* out, std::ptrdiff_t out_stride) {
    const int all_blocks = (layer.outputs + dot_block - 1) / dot_block;
    for (int tiles = (positions + max_positions - 1) / max_positions; tiles > 0; --tiles) {
        const int count = (positions + tiles - 1) / tiles;
        const int most = blocks_for(count);
        int block = 0;
        for (int passes = (all_blocks + most - 1) / most; passes > 0; --passes) {
            const int blocks = (all_blocks - block + passes - 1) / passes;
            tile_of(count, blocks)(layer, block, in, position_stride, row_stride, out, out_stride);
            block += blocks;
        }
        in += count * position_stride;
        out += count * out_stride;
        positions -= count;
    }
}

void pool_row_interleaved(const float* in, int width, int channels, int rows, int kernel_x, int stride_x,
                          float* out, int columns) {
    const std::ptrdiff_t row_stride = std::ptrdiff_t(width) * channels;
    for (int column = 0; column < columns; ++column, out += channels) {
        const int first = column * stride_x;
        const int taps = width - first < kernel_x ? width - first : kernel_x;
        const float* window = in + std::ptrdiff_t(first) * channels;
        for (int c = 0; c < channels; c += 8) {
            F8 most = load(window + c);
            for (int row = 0; row < rows; ++row)
                for (int tap = 0; tap < taps; ++tap)
                    most = max(most, load(window + row * row_stride + std::ptrdiff_t(tap) * channels + c));
            store(out + c, most);
        }
    }
}

}  // namespace openface::OPENFACE_ISA
