// The Cholesky inverse in the order of OpenBLAS's sposv (landmark-fitting.md, section 9.3, item 9).
//
// The factorisation cuts the matrix into four block columns (and what is left over), down to blocks of at
// most 32 rows: factorise the diagonal block, solve the block below against it, subtract the product of the
// solution with itself from what is right of it. Every sum is a chain of fused multiply-adds from zero that
// is then added to the element; the triangular solves continue in the element itself within a chunk of
// columns (factorisation: 12, 8, 4, 2, 1) or of eight rows (solution). In chunks narrower than four columns,
// and so for the last column of the inverse, those continued products are rounded before they are
// subtracted.
#include <cstddef>

#include "openface/core/simd.h"
#include "openface/patch_experts/spd_inverse.h"

namespace openface::OPENFACE_ISA {

namespace {

constexpr int lanes = 8;

OPENFACE_INLINE void store_first(float* p, F8 v, int count) {
    store(p, count >= lanes ? v : select(iota() < count, v, load(p)));
}

// ---- factorisation; `a` points to the block's first element, columns are `stride` apart

// Column by column. The rows below a pivot in three groups, by the vector kernels that take them: the first 4
// and / or 8 (of a number that is a multiple of 4) sum even and odd columns of four separately; then, in
// sixteens, one chain of four columns; the last 1 to 3 sum all columns before they are subtracted. Columns
// left over after the fours are subtracted singly.
bool factorise_unblocked(float* a, std::ptrdiff_t stride, int n) {
    for (int j = 0; j < n; ++j) {
        float* column = a + j * stride;
        const float* pivot_row = a + j;
        double squares = 0.0;
        int k = 0;
        for (; k + 1 < j; k += 2) {
            const float first = pivot_row[k * stride], second = pivot_row[(k + 1) * stride];
            squares += double(first * first + second * second);
        }
        if (k < j) squares += double(pivot_row[k * stride] * pivot_row[k * stride]);
        const float square = column[j] - float(squares);
        if (!(square > 0.0f)) return false;
        const float pivot = __builtin_sqrtf(square);
        column[j] = pivot;
        const float reciprocal = 1.0f / pivot;

        const int rows = n - j - 1;
        const int whole = rows / 4 * 4, paired = whole % 16;
        for (int r = 0; r < rows; r += lanes) {
            const float* left = a + j + 1 + r;
            F8 by_pairs = load(column + j + 1 + r), by_fours = by_pairs;
            const F8 value = by_pairs;
            F8 total = zero();
            for (k = 0; k + 4 <= j; k += 4) {
                F8 l[4], x[4];
                for (int i = 0; i < 4; ++i) {
                    l[i] = load(left + (k + i) * stride);
                    x[i] = broadcast(pivot_row[(k + i) * stride]);
                    total = total + l[i] * x[i];
                }
                by_pairs = by_pairs - (fma(l[2], x[2], l[0] * x[0]) + fma(l[3], x[3], l[1] * x[1]));
                by_fours = by_fours - fma(l[3], x[3], fma(l[2], x[2], fma(l[1], x[1], l[0] * x[0])));
            }
            for (; k < j; ++k) {
                const F8 product = load(left + k * stride) * broadcast(pivot_row[k * stride]);
                total = total + product;
                by_pairs = by_pairs - product;
                by_fours = by_fours - product;
            }
            const I8 row = iota() + r;
            const F8 rest = select(row < paired, by_pairs, select(row < whole, by_fours, value - total));
            store_first(column + j + 1 + r, rest * broadcast(reciprocal), rows - r);
        }
    }
    return true;
}

// Columns c .. c + W of X transposed(L) = B, for eight rows of B; X replaces B.
template <int W>
OPENFACE_INLINE void solve_chunk(const float* factor, float* b, int c, std::ptrdiff_t stride, int rows) {
    F8 x[W];
    for (int q = 0; q < W; ++q) x[q] = zero();
    for (int k = 0; k < c; ++k) {
        const F8 known = load(b + k * stride);
        const float* l = factor + k * stride + c;
        for (int q = 0; q < W; ++q) x[q] = fma(known, broadcast(l[q]), x[q]);
    }
    for (int q = 0; q < W; ++q) x[q] = load(b + (c + q) * stride) - x[q];
    for (int q = 0; q < W; ++q) {
        const float* l = factor + (c + q) * stride + c;
        x[q] = x[q] * broadcast(1.0f / l[q]);
        for (int i = q + 1; i < W; ++i)
            x[i] = W >= 4 ? fma(-x[q], broadcast(l[i]), x[i]) : x[i] - x[q] * broadcast(l[i]);
        store_first(b + (c + q) * stride, x[q], rows);
    }
}

void solve_below(const float* factor, int width, float* b, int rows, std::ptrdiff_t stride) {
    for (int r = 0; r < rows; r += lanes) {
        int c = 0;
        for (; c + 12 <= width; c += 12) solve_chunk<12>(factor, b + r, c, stride, rows - r);
        for (; c + 8 <= width; c += 8) solve_chunk<8>(factor, b + r, c, stride, rows - r);
        for (; c + 4 <= width; c += 4) solve_chunk<4>(factor, b + r, c, stride, rows - r);
        for (; c + 2 <= width; c += 2) solve_chunk<2>(factor, b + r, c, stride, rows - r);
        if (c < width) solve_chunk<1>(factor, b + r, c, stride, rows - r);
    }
}

// W columns from column c on of the square block right of B: its rows from c on minus B transposed(B).
template <int W>
OPENFACE_INLINE void subtract_square_columns(const float* b, int width, float* square, int c, int rows,
                                             std::ptrdiff_t stride) {
    for (int r = c; r < rows; r += lanes) {
        F8 total[W];
        for (int q = 0; q < W; ++q) total[q] = zero();
        for (int k = 0; k < width; ++k) {
            const F8 left = load(b + k * stride + r);
            const float* right = b + k * stride + c;
            for (int q = 0; q < W; ++q) total[q] = fma(left, broadcast(right[q]), total[q]);
        }
        for (int q = 0; q < W; ++q) {
            float* target = square + (c + q) * stride + r;
            store_first(target, load(target) - total[q], rows - r);
        }
    }
}

void subtract_square(const float* b, int width, float* square, int rows, std::ptrdiff_t stride) {
    int c = 0;
    for (; c + 8 <= rows; c += 8) subtract_square_columns<8>(b, width, square, c, rows, stride);
    for (; c < rows; ++c) subtract_square_columns<1>(b, width, square, c, rows, stride);
}

bool factorise(float* a, std::ptrdiff_t stride, int n) {
    if (n <= 32) return factorise_unblocked(a, stride, n);
    const int most = n / 4;
    for (int j = 0; j < n; j += most) {
        const int width = n - j < most ? n - j : most, rows = n - j - width;
        float* diagonal = a + j * stride + j;
        if (!factorise(diagonal, stride, width)) return false;
        float* below = diagonal + width;
        solve_below(diagonal, width, below, rows, stride);
        subtract_square(below, width, below + width * stride, rows, stride);
    }
    return true;
}

// ---- solution for sixteen columns at a time

constexpr int panel = 16;
constexpr int height = 8;  // rows of a block
#if defined(OPENFACE_ISA_AVX512)
constexpr int tile = 8;  // rows whose sums fit the registers
#else
constexpr int tile = 4;
#endif

// value[r] -= sum over k of factor(r, k) x_k.
OPENFACE_INLINE void subtract_sums(F16* value, const float* factor, std::ptrdiff_t row_step,
                                   std::ptrdiff_t factor_step, const float* x, std::ptrdiff_t x_step,
                                   int count) {
    for (int first = 0; first < height; first += tile) {
        F16 total[tile];
        for (int r = 0; r < tile; ++r) total[r] = broadcast16(0.0f);
        const float* f = factor + first * row_step;
        const float* known = x;
        for (int k = 0; k < count; ++k) {
            const F16 v = load16(known);
            for (int r = 0; r < tile; ++r) total[r] = fma(v, broadcast16(f[r * row_step]), total[r]);
            f += factor_step;
            known += x_step;
        }
        for (int r = 0; r < tile; ++r) value[first + r] = value[first + r] - total[r];
    }
}

// L Y = I from row `c` on (the rows above are zero), then transposed(L) X = Y.
void solve_panel(const float* factor, const float* reciprocals, int n, std::ptrdiff_t stride, float* x,
                 int c) {
    const F16 none = broadcast16(0.0f);
    const int last = n - 1;  // a block of its own
    F16 value[height];
    for (int i = c; i < last; i += height) {
        for (int r = 0; r < height; ++r) value[r] = load16(x + (i + r) * stride);
        subtract_sums(value, factor + c * stride + i, 1, stride, x + c * stride, stride, i - c);
        for (int r = 0; r < height; ++r) {
            const float* l = factor + (i + r) * stride + i;
            value[r] = value[r] * broadcast16(reciprocals[i + r]);
            const F16 negative = none - value[r];
            for (int q = r + 1; q < height; ++q) value[q] = fma(negative, broadcast16(l[q]), value[q]);
            store(x + (i + r) * stride, value[r]);
        }
    }
    F16 total = none;
    for (int k = c; k < last; ++k)
        total = fma(load16(x + k * stride), broadcast16(factor[k * stride + last]), total);
    const F16 scale = broadcast16(reciprocals[last]);
    const F16 forward = (load16(x + last * stride) - total) * scale;
    store(x + last * stride, forward * scale);
    for (int i = last - height; i >= 0; i -= height) {
        for (int r = 0; r < height; ++r) value[r] = load16(x + (i + r) * stride);
        subtract_sums(value, factor + i * stride + last, stride, -1, x + last * stride, -stride,
                      n - i - height);
        for (int r = height - 1; r >= 0; --r) {
            const float* l = factor + i * stride + i + r;
            value[r] = value[r] * broadcast16(reciprocals[i + r]);
            const F16 negative = none - value[r];
            for (int q = 0; q < r; ++q) value[q] = fma(negative, broadcast16(l[q * stride]), value[q]);
            store(x + (i + r) * stride, value[r]);
        }
    }
}

// The last unit vector: sums run upwards in both directions, and within a block of eight rows products are
// rounded before they are subtracted.
void solve_last_column(const float* factor, const float* reciprocals, int n, std::ptrdiff_t stride,
                       float* x) {
    const int last = n - 1;
    x[last * stride] = reciprocals[last] * reciprocals[last];
    for (int i = last - height; i >= 0; i -= height) {
        float value[height] = {};
        for (int k = i + height; k < n; ++k)
            for (int r = 0; r < height; ++r)
                value[r] = fma(factor[(i + r) * stride + k], x[k * stride], value[r]);
        for (int r = 0; r < height; ++r) value[r] = -value[r];
        for (int r = height - 1; r >= 0; --r) {
            value[r] = value[r] * reciprocals[i + r];
            for (int q = 0; q < r; ++q) value[q] = value[q] - value[r] * factor[(i + q) * stride + i + r];
            x[(i + r) * stride] = value[r];
        }
    }
}

}  // namespace

bool invert_in_blocks(float* matrix, int n, int stride, float* work, float* inverse) {
    const std::ptrdiff_t step = stride;
    if (!factorise(matrix, step, n)) return false;
    float* reciprocals = work;
    for (int i = 0; i < n; ++i) reciprocals[i] = 1.0f / matrix[i * step + i];
    for (int i = 0; i < n; ++i) {
        float* row = inverse + i * step;
        for (int c = 0; c < stride; c += panel) store(row + c, broadcast16(0.0f));
        row[i] = 1.0f;
    }
    for (int c = 0; c < n; c += panel) solve_panel(matrix, reciprocals, n, step, inverse + c, c);
    solve_last_column(matrix, reciprocals, n, step, inverse + n - 1);
    return true;
}

}  // namespace openface::OPENFACE_ISA
