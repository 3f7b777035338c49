// The Cholesky inverse with double accumulators (landmark-fitting.md, section 9.3, item 13): products are
// rounded to float, subtracted one by one in double, and the remainder times the reciprocal pivot is rounded
// to float. Lanes are rows of the factor, then columns of the inverse; the order within a sum is that of the
// specification.
#include <cstddef>

#include "openface/core/simd.h"
#include "openface/patch_experts/spd_inverse.h"

namespace openface::OPENFACE_ISA {

namespace {

constexpr int lanes = 8;
constexpr double least_pivot = 0x1p-23;
constexpr int most_rows = 104;

// `count` products of a vector and a scalar, subtracted from `value` one after the other; then times `scale`.
template <int V>
OPENFACE_INLINE void eliminate(const float* value, const float* vectors, std::ptrdiff_t vector_step,
                               const float* scalars, std::ptrdiff_t scalar_step, int count, float scale,
                               float* result) {
    D8 rest[V];
    for (int v = 0; v < V; ++v) rest[v] = to_double(load(value + v * lanes));
    for (int k = 0; k < count; ++k) {
        const F16 scalar = broadcast16(*scalars);
        int v = 0;
        for (; v + 2 <= V; v += 2) {
            const F16 product = load16(vectors + v * lanes) * scalar;
            rest[v] -= to_double(low(product));
            rest[v + 1] -= to_double(high(product));
        }
        for (; v < V; ++v) rest[v] -= to_double(load(vectors + v * lanes) * low(scalar));
        vectors += vector_step;
        scalars += scalar_step;
    }
    for (int v = 0; v < V; ++v) store(result + v * lanes, to_float(rest[v] * double(scale)));
}

// The same for any number of vectors.
OPENFACE_INLINE void eliminate_all(int length, const float* value, const float* vectors,
                                   std::ptrdiff_t vector_step, const float* scalars,
                                   std::ptrdiff_t scalar_step, int count, float scale, float* result) {
    while (length > 0) {
        int done = 4 * lanes;
        if (length > 3 * lanes) {
            eliminate<4>(value, vectors, vector_step, scalars, scalar_step, count, scale, result);
        } else if (length > 2 * lanes) {
            eliminate<3>(value, vectors, vector_step, scalars, scalar_step, count, scale, result);
        } else if (length > lanes) {
            eliminate<2>(value, vectors, vector_step, scalars, scalar_step, count, scale, result);
        } else {
            eliminate<1>(value, vectors, vector_step, scalars, scalar_step, count, scale, result);
            done = lanes;
        }
        value += done;
        vectors += done;
        result += done;
        length -= done;
    }
}

}  // namespace

bool invert_with_double_sums(float* matrix, int n, int stride, float* work, float* inverse) {
    const std::ptrdiff_t step = stride;
    float* reciprocals = work;
    // What is left of the diagonal: each column takes its squares out of all pivots to come.
    double pivots[most_rows];
    for (int j = 0; j < n; ++j) pivots[j] = matrix[j * step + j];
    for (int j = 0; j < n; ++j) {
        float* column = matrix + j * step;
        if (!(pivots[j] >= least_pivot)) return false;
        reciprocals[j] = float(1.0 / __builtin_sqrt(pivots[j]));
        // Starts at a whole vector; what that puts above the diagonal is not read.
        const int first = (j + 1) / lanes * lanes;
        eliminate_all(n - first, column + first, matrix + first, step, matrix + j, step, j, reciprocals[j],
                      column + first);
        for (int i = first; i < n; i += lanes) {
            const D8 l = to_double(load(column + i));
            store(pivots + i, load8d(pivots + i) - l * l);
        }
    }

    for (int i = 0; i < n; ++i) {
        float* row = inverse + i * step;
        for (int c = 0; c < stride; c += lanes) store(row + c, zero());
        row[i] = 1.0f;
    }
    // Thirty-two columns at a time. The solution for L starts with zeros, which change no sum.
    constexpr int panel = 4 * lanes;
    for (int c = 0; c < n; c += panel) {
        const int length = n - c < panel ? n - c : panel;
        for (int i = c; i < n; ++i) {
            float* row = inverse + i * step + c;
            eliminate_all(length, row, inverse + c * step + c, step, matrix + c * step + i, step, i - c,
                          reciprocals[i], row);
        }
        for (int i = n - 1; i >= 0; --i) {
            float* row = inverse + i * step + c;
            eliminate_all(length, row, inverse + (n - 1) * step + c, -step, matrix + i * step + n - 1, -1,
                          n - 1 - i, reciprocals[i], row);
        }
    }
    return true;
}

}  // namespace openface::OPENFACE_ISA
