#include "openface/shape/pdm_kernels.h"

#include "openface/core/simd.h"

namespace openface::OPENFACE_ISA {

void pdm_shape3d(const float* mean, const float* modes, const float* local, int mode_count, int stride,
                 float* xyz) {
    const int length = 3 * stride;
    int i = 0;
    for (; i + 24 <= length; i += 24) {
        F8 s0 = zero(), s1 = zero(), s2 = zero();
        const float* mode = modes + i;
        for (int k = 0; k < mode_count; ++k, mode += length) {
            const F8 q = broadcast(local[k]);
            s0 = fma(load(mode), q, s0);
            s1 = fma(load(mode + 8), q, s1);
            s2 = fma(load(mode + 16), q, s2);
        }
        store(xyz + i, load(mean + i) + s0);
        store(xyz + i + 8, load(mean + i + 8) + s1);
        store(xyz + i + 16, load(mean + i + 16) + s2);
    }
}

void pdm_project(const float* xyz, int stride, const float* rotation, float scale, float tx, float ty,
                 float* xy) {
    const F8 s = broadcast(scale);
    for (int axis = 0; axis < 2; ++axis) {
        const F8 r1 = broadcast(rotation[axis * 3]), r2 = broadcast(rotation[axis * 3 + 1]),
                 r3 = broadcast(rotation[axis * 3 + 2]), t = broadcast(axis == 0 ? tx : ty);
        for (int i = 0; i < stride; i += 8) {
            const F8 x = load(xyz + i), y = load(xyz + stride + i), z = load(xyz + 2 * stride + i);
            store(xy + axis * stride + i, fma(s, fma(r3, z, fma(r1, x, r2 * y)), t));
        }
    }
}

void pdm_shape3d_in_double(const float* mean, const float* modes, const float* local, int mode_count,
                           int stride, float* xyz) {
    const int length = 3 * stride;
    for (int i = 0; i < length; i += 8) {
        D8 total = to_double(load(mean + i));
        for (int k = 0; k < mode_count; ++k)
            total += to_double(load(modes + k * length + i)) * broadcast8d(double(local[k]));
        store(xyz + i, to_float(total));
    }
}

void pdm_project_in_double(const float* xyz, int stride, const float* rotation, float scale, float tx,
                           float ty, float* xy) {
    const D8 s = broadcast8d(double(scale));
    for (int axis = 0; axis < 2; ++axis) {
        const D8 r1 = broadcast8d(double(rotation[axis * 3])),
                 r2 = broadcast8d(double(rotation[axis * 3 + 1])),
                 r3 = broadcast8d(double(rotation[axis * 3 + 2]));
        const F8 t = broadcast(axis == 0 ? tx : ty);
        for (int i = 0; i < stride; i += 8) {
            const D8 x = to_double(load(xyz + i)), y = to_double(load(xyz + stride + i)),
                     z = to_double(load(xyz + 2 * stride + i));
            store(xy + axis * stride + i, to_float(s * (r1 * x + r2 * y + r3 * z)) + t);
        }
    }
}

namespace {

OPENFACE_INLINE void write_mode_derivatives(const JacobianInput& in, int landmark, F8 r1, F8 r2, F8 r3, F8 s,
                                            float* out) {
    const float* vx = in.modes_by_landmark + landmark * in.mode_stride;
    const float* vy = vx + in.stride * in.mode_stride;
    const float* vz = vy + in.stride * in.mode_stride;
    for (int k = 0; k < in.mode_stride; k += 8)
        store(out + k, s * fma(r3, load(vz + k), fma(r1, load(vx + k), r2 * load(vy + k))));
}

}  // namespace

void pdm_jacobian(const JacobianInput& in, int row_stride, float* jacobian) {
    const F8 s = broadcast(in.scale), one = broadcast(1.0f);
    const int n = in.landmark_count;
    for (int axis = 0; axis < 2; ++axis) {
        const F8 r1 = broadcast(in.rotation[axis * 3]), r2 = broadcast(in.rotation[axis * 3 + 1]),
                 r3 = broadcast(in.rotation[axis * 3 + 2]);
        for (int first = 0; first < n; first += 8) {
            const F8 x = load(in.xyz + first), y = load(in.xyz + in.stride + first),
                     z = load(in.xyz + 2 * in.stride + first);
            F8 rigid[8] = {fma(z, r3, fma(x, r1, y * r2)),
                           s * fma(y, r3, -(z * r2)),
                           (-s) * fma(x, r3, -(z * r1)),
                           s * fma(x, r2, -(y * r1)),
                           axis == 0 ? one : zero(),
                           axis == 0 ? zero() : one,
                           zero(),
                           zero()};
            transpose(rigid);
            // Whole vectors of modes reach into the next row, which is written later.
            float* row = jacobian + (axis * n + first) * row_stride;
            for (int i = 0; i < 8 && first + i < n; ++i, row += row_stride) {
                if (in.weights[first + i] == 0.0f) {
                    for (int k = 0; k < row_stride; k += 8) store(row + k, zero());
                    continue;
                }
                store(row, rigid[i]);
                if (!in.rigid) write_mode_derivatives(in, first + i, r1, r2, r3, s, row + 6);
            }
        }
    }
}

void pdm_weight_jacobian(const float* jacobian, const float* weights, int landmark_count, int row_stride,
                         float* weighted) {
    for (int row = 0; row < 2 * landmark_count; ++row) {
        const F8 w = broadcast(weights[row < landmark_count ? row : row - landmark_count]);
        for (int k = 0; k < row_stride; k += 8)
            store(weighted + row * row_stride + k, load(jacobian + row * row_stride + k) * w);
    }
}

namespace {

// The reference's matrix product sums some blocks of columns over even and odd rows apart ("I-order" in
// section 9.3, item 11). Which, was found for the sizes of the published models; a row of its table is six
// rows of the matrix, a block eight columns.
bool sums_even_and_odd_apart(int size, int row, int block) {
    const bool even_group = row / 6 % 2 == 0;
    switch (size) {
        case 40:
            return row >= 36 || block == (even_group ? 0 : 4);
        case 38:
            return row < 36 && even_group && (block == 0 || block == 3);
        case 29:
            return row < 24 ? block == (even_group ? 0 : 2) : row < 28 && block < 3;
        case 16:
            return even_group;
        default:
            return false;
    }
}

OPENFACE_INLINE void load_into(F8& v, const float* p) {
    v = load(p);
}
OPENFACE_INLINE void load_into(F16& v, const float* p) {
    v = load16(p);
}
OPENFACE_INLINE void broadcast_into(F8& v, float x) {
    v = broadcast(x);
}
OPENFACE_INLINE void broadcast_into(F16& v, float x) {
    v = broadcast16(x);
}

struct Product {
    const float* weighted;  // from the block's first row of the matrix on
    const float* jacobian;  // from its first column on
    int row_count;
    int row_stride;
    float* hessian;
};

// R rows x V vectors of the product, one chain of fused multiply-adds each.
template <class Lanes, int R, int V>
OPENFACE_INLINE void multiply_in_sequence(const Product& p) {
    constexpr int width = int(sizeof(Lanes) / sizeof(float));
    Lanes total[R][V];
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) broadcast_into(total[r][v], 0.0f);
    const float* left = p.weighted;
    const float* right = p.jacobian;
    for (int k = 0; k < p.row_count; ++k, left += p.row_stride, right += p.row_stride) {
        Lanes c[V];
        for (int v = 0; v < V; ++v) load_into(c[v], right + v * width);
        for (int r = 0; r < R; ++r) {
            Lanes w;
            broadcast_into(w, left[r]);
            for (int v = 0; v < V; ++v) total[r][v] = fma(w, c[v], total[r][v]);
        }
    }
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) store(p.hessian + r * p.row_stride + v * width, total[r][v]);
}

// The same with a chain for even and one for odd rows of the factors; what is left after a multiple of eight
// goes to the first.
template <class Lanes, int R>
OPENFACE_INLINE void multiply_even_and_odd(const Product& p) {
    Lanes even[R], odd[R];
    for (int r = 0; r < R; ++r) {
        broadcast_into(even[r], 0.0f);
        broadcast_into(odd[r], 0.0f);
    }
    const float* left = p.weighted;
    const float* right = p.jacobian;
    const int paired = p.row_count / 8 * 8;
    for (int k = 0; k < paired; k += 2, left += 2 * p.row_stride, right += 2 * p.row_stride) {
        Lanes c0, c1, w0, w1;
        load_into(c0, right);
        load_into(c1, right + p.row_stride);
        for (int r = 0; r < R; ++r) {
            broadcast_into(w0, left[r]);
            broadcast_into(w1, left[p.row_stride + r]);
            even[r] = fma(w0, c0, even[r]);
            odd[r] = fma(w1, c1, odd[r]);
        }
    }
    for (int k = paired; k < p.row_count; ++k, left += p.row_stride, right += p.row_stride) {
        Lanes c, w;
        load_into(c, right);
        for (int r = 0; r < R; ++r) {
            broadcast_into(w, left[r]);
            even[r] = fma(w, c, even[r]);
        }
    }
    for (int r = 0; r < R; ++r) store(p.hessian + r * p.row_stride, even[r] + odd[r]);
}

// R rows of the matrix, blocks of columns as far as the diagonal needs them.
template <int R>
OPENFACE_INLINE void multiply_rows(const float* weighted, const float* jacobian, int row_count, int size,
                                   int row_stride, int row, float* hessian) {
    const int blocks = (row + R + 7) / 8;
    for (int block = 0; block < blocks;) {
        const bool apart = sums_even_and_odd_apart(size, row, block);
        int alike = 1;
        while (block + alike < blocks && sums_even_and_odd_apart(size, row, block + alike) == apart) ++alike;
        const Product product{weighted + row, jacobian + 8 * block, row_count, row_stride,
                              hessian + row * row_stride + 8 * block};
        if (apart) {
#if defined(OPENFACE_ISA_AVX512)
            if (alike >= 2) {
                multiply_even_and_odd<F16, R>(product);
                block += 2;
                continue;
            }
#endif
            multiply_even_and_odd<F8, R>(product);
            block += 1;
            continue;
        }
#if defined(OPENFACE_ISA_AVX512)
        if (alike >= 4) {
            multiply_in_sequence<F16, R, 2>(product);
            block += 4;
            continue;
        }
#endif
        if (alike >= 2) {
            multiply_in_sequence<F16, R, 1>(product);
            block += 2;
        } else {
            multiply_in_sequence<F8, R, 1>(product);
            block += 1;
        }
    }
}

}  // namespace

void pdm_hessian(const float* weighted, const float* jacobian, int row_count, int size, int row_stride,
                 float* hessian) {
    int row = 0;
    for (; row + 6 <= size; row += 6)
        multiply_rows<6>(weighted, jacobian, row_count, size, row_stride, row, hessian);
    if (row + 4 <= size) {
        multiply_rows<4>(weighted, jacobian, row_count, size, row_stride, row, hessian);
        row += 4;
    }
    for (; row < size; ++row) multiply_rows<1>(weighted, jacobian, row_count, size, row_stride, row, hessian);
}

void pdm_gradient(const float* weighted, const float* residual, int landmark_count, int stride, int size,
                  int row_stride, float* gradient) {
    const int row_count = 2 * landmark_count;
    const auto residual_of = [=](int k) {
        return double(residual[k < landmark_count ? k : stride + k - landmark_count]);
    };
    for (int first = 0; first < size; first += 8) {
        // Four sums, of every fourth term each; what is left after a multiple of four goes to the first.
        D8 total[4] = {D8{}, D8{}, D8{}, D8{}};
        const float* row = weighted + first;
        int k = 0;
        for (; k + 4 <= row_count; k += 4)
            for (int i = 0; i < 4; ++i, row += row_stride)
                total[i] += to_double(load(row)) * broadcast8d(residual_of(k + i));
        for (; k < row_count; ++k, row += row_stride)
            total[0] += to_double(load(row)) * broadcast8d(residual_of(k));
        store(gradient + first, to_float(total[0] + total[1] + total[2] + total[3]));
    }
}

namespace {

// Entries i .. i + 8 * V of column j: those of the matrix minus the products, rounded to float, of the
// columns before it; then times the reciprocal of the diagonal. `diagonal` loses the squares of the column.
template <int V>
OPENFACE_INLINE void finish_column(float* columns, int stride, int j, int i, double reciprocal,
                                   double* diagonal) {
    D8 value[V];
    float* column = columns + j * stride + i;
    for (int v = 0; v < V; ++v) value[v] = to_double(load(column + 8 * v));
    for (int k = 0; k < j; ++k) {
        const float* earlier = columns + k * stride;
        const F16 f = broadcast16(earlier[j]);
        int v = 0;
        for (; v + 2 <= V; v += 2) {
            const F16 product = load16(earlier + i + 8 * v) * f;
            value[v] -= to_double(low(product));
            value[v + 1] -= to_double(high(product));
        }
        for (; v < V; ++v) value[v] -= to_double(load(earlier + i + 8 * v) * low(f));
    }
    for (int v = 0; v < V; ++v) {
        const F8 rounded = to_float(value[v] * broadcast8d(reciprocal));
        store(column + 8 * v, rounded);
        const D8 wide = to_double(rounded);
        store(diagonal + i + 8 * v, load8d(diagonal + i + 8 * v) - wide * wide);
    }
}

void transpose_blocks(const float* from, int stride, bool lower, float* to) {
    for (int i = 0; i < stride; i += 8)
        for (int j = 0; j <= i; j += 8) {
            const int row = lower ? i : j, column = lower ? j : i;
            F8 block[8];
            for (int r = 0; r < 8; ++r) block[r] = load(from + (row + r) * stride + column);
            transpose(block);
            for (int r = 0; r < 8; ++r) store(to + (column + r) * stride + row, block[r]);
        }
}

}  // namespace

// Left-looking by columns (section 9.3, item 13). Lanes above the diagonal hold values that nothing reads.
// The forward substitution goes along: it fills the time in which a column waits for its pivot.
bool solve_cholesky(const float* matrix, int size, int stride, float* scratch, float* x) {
    double diagonal[256], reciprocals[256], remaining[256];
    float* columns = scratch;
    float* rows = scratch + stride * stride;
    transpose_blocks(matrix, stride, true, columns);
    for (int j = 0; j < stride; ++j) diagonal[j] = j < size ? double(matrix[j * stride + j]) : 0.0;
    for (int i = 0; i < size; i += 8) store(remaining + i, to_double(load(x + i)));
    for (int j = 0; j < size; ++j) {
        if (!(diagonal[j] >= 1.1920928955078125e-07)) return false;
        reciprocals[j] = double(float(1.0 / __builtin_sqrt(diagonal[j])));
        const int below = (j + 1) / 8 * 8;
        for (int i = below; i < size;) {
            const int vectors = (size - i + 7) / 8;
            if (vectors >= 5) {
                finish_column<5>(columns, stride, j, i, reciprocals[j], diagonal);
                i += 40;
            } else if (vectors == 4) {
                finish_column<4>(columns, stride, j, i, reciprocals[j], diagonal);
                i += 32;
            } else if (vectors == 3) {
                finish_column<3>(columns, stride, j, i, reciprocals[j], diagonal);
                i += 24;
            } else if (vectors == 2) {
                finish_column<2>(columns, stride, j, i, reciprocals[j], diagonal);
                i += 16;
            } else {
                finish_column<1>(columns, stride, j, i, reciprocals[j], diagonal);
                i += 8;
            }
        }
        // L y = b: the unknown, once known, is taken out of all that remain.
        x[j] = float(remaining[j] * reciprocals[j]);
        const F8 known = broadcast(x[j]);
        for (int i = below; i < size; i += 8)
            store(remaining + i, load8d(remaining + i) - to_double(load(columns + j * stride + i) * known));
    }
    // L^T x = y from the last unknown on: within a block of eight one by one, then the block is taken out of
    // those before it.
    transpose_blocks(columns, stride, false, rows);
    for (int i = 0; i < size; i += 8) store(remaining + i, to_double(load(x + i)));
    for (int block = (size - 1) / 8 * 8; block >= 0; block -= 8) {
        const int last = block + 8 < size ? block + 7 : size - 1;
        for (int i = last; i >= block; --i) {
            x[i] = float(remaining[i] * reciprocals[i]);
            for (int j = i - 1; j >= block; --j) remaining[j] -= double(rows[i * stride + j] * x[i]);
        }
        for (int j = 0; j < block; j += 8) {
            D8 rest = load8d(remaining + j);
            for (int i = last; i >= block; --i)
                rest -= to_double(load(rows + i * stride + j) * broadcast(x[i]));
            store(remaining + j, rest);
        }
    }
    return true;
}

float euclidean_norm(const float* v, int count) {
    D8 total = D8{};
    for (int i = 0; i < count; i += 8) {
        const D8 x = to_double(load(v + i));
        total += x * x;
    }
    return float(__builtin_sqrt(sum(total)));
}

}  // namespace openface::OPENFACE_ISA
