// Association matrices, put together and applied. Each response is one chain of fused multiply-adds from
// zero, over the positions in order (landmark-fitting.md, section 9.3, item 9). Lanes are responses.
#include "openface/patch_experts/association.h"

#include "openface/core/simd.h"

namespace openface::OPENFACE_ISA {

namespace {

#if defined(OPENFACE_ISA_AVX512)
constexpr int most_vectors = 8;
#else
constexpr int most_vectors = 6;
#endif

template <int V>
OPENFACE_INLINE void multiply(const float* columns, int height, int positions, const float* values,
                              float* response) {
    F16 total[V];
    for (int v = 0; v < V; ++v) total[v] = broadcast16(0.0f);
    for (int k = 0; k < positions; ++k, columns += height) {
        const F16 value = broadcast16(values[k]);
        for (int v = 0; v < V; ++v) total[v] = fma(load16(columns + 16 * v), value, total[v]);
    }
    for (int v = 0; v < V; ++v) store(response + 16 * v, total[v]);
}

}  // namespace

void add_edges(const float* edges, float beta, int n, int stride, float* sum) {
    for (int i = 0; i < n; ++i, edges += n, sum += stride) {
        int k = 0;
        for (; k + 8 <= n; k += 8) store(sum + k, fma(broadcast(beta), load(edges + k), load(sum + k)));
        for (; k < n; ++k) sum[k] = fma(beta, edges[k], sum[k]);
    }
}

void transpose_padded(const float* matrix, int n, int stride, float* transposed) {
    for (int row = 0; row < stride; row += 8)
        for (int column = 0; column < n; column += 8) {
            F8 block[8];
            for (int i = 0; i < 8; ++i)
                block[i] = row + i < n ? load(matrix + (row + i) * stride + column) : zero();
            transpose(block);
            for (int i = 0; i < 8 && column + i < n; ++i)
                store(transposed + (column + i) * stride + row, block[i]);
        }
}

void associate(const float* association, int positions, const float* values, float* response) {
    const int height = (positions + 15) / 16 * 16;
    for (int row = 0; row < height;) {
        const int left = (height - row) / 16;
        const float* columns = association + row;
        if (left >= most_vectors) {
            multiply<most_vectors>(columns, height, positions, values, response + row);
            row += 16 * most_vectors;
        } else if (left >= 4) {
            multiply<4>(columns, height, positions, values, response + row);
            row += 64;
        } else if (left >= 2) {
            multiply<2>(columns, height, positions, values, response + row);
            row += 32;
        } else {
            multiply<1>(columns, height, positions, values, response + row);
            row += 16;
        }
    }
}

}  // namespace openface::OPENFACE_ISA
