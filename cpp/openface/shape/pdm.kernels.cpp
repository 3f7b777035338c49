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

void pdm_gram(const float* modes, const float* weights, int mode_count, int stride, int mode_stride,
              float* gram) {
    static constexpr int first[6] = {0, 1, 2, 0, 0, 1}, second[6] = {0, 1, 2, 1, 2, 2};
    for (int pair = 0; pair < 6; ++pair)
        for (int k = 0; k < mode_count; ++k) {
            float* row = gram + (pair * mode_count + k) * mode_stride;
            for (int l = 0; l < mode_stride; ++l) row[l] = 0.0f;
            for (int l = 0; l < mode_count; ++l) {
                const float* va_k = modes + (k * 3 + first[pair]) * stride;
                const float* vb_l = modes + (l * 3 + second[pair]) * stride;
                const float* vb_k = modes + (k * 3 + second[pair]) * stride;
                const float* va_l = modes + (l * 3 + first[pair]) * stride;
                D8 total = D8{};
                for (int i = 0; i < stride; i += 8) {
                    const D8 w = to_double(load(weights + i));
                    D8 product = to_double(load(va_k + i)) * to_double(load(vb_l + i));
                    if (pair >= 3) product += to_double(load(vb_k + i)) * to_double(load(va_l + i));
                    total += w * product;
                }
                row[l] = float(sum(total));
            }
        }
}

namespace {

// What a landmark's x and y derivatives are, per global parameter (the columns of section 3.4), times its
// weight.
struct RigidColumns {
    F8 x[4], y[4];  // scale and three rotations; the translations are 1 and 0
};

OPENFACE_INLINE RigidColumns rigid_columns(const float* xyz, int stride, int i, const float* r, F8 s) {
    const F8 x = load(xyz + i), y = load(xyz + stride + i), z = load(xyz + 2 * stride + i);
    RigidColumns c;
    for (int axis = 0; axis < 2; ++axis) {
        const F8 r1 = broadcast(r[axis * 3]), r2 = broadcast(r[axis * 3 + 1]),
                 r3 = broadcast(r[axis * 3 + 2]);
        F8* out = axis == 0 ? c.x : c.y;
        out[0] = fma(z, r3, fma(x, r1, y * r2));
        out[1] = s * fma(y, r3, -(z * r2));
        out[2] = (-s) * fma(x, r3, -(z * r1));
        out[3] = s * fma(x, r2, -(y * r1));
    }
    return c;
}

}  // namespace

void pdm_normal_equations(const float* xyz, const float* modes, const float* weights, const float* gram,
                          const float* residual, const float* r, float scale, int mode_count, int stride,
                          int mode_stride, bool rigid, int height, float* columns, float* hessian,
                          float* gradient) {
    const F8 s = broadcast(scale);

    // 6 x 6 block and rigid gradient: all sums over landmarks, each in lanes, added up at the end.
    F8 h[21], g[6];
    for (F8& v : h) v = zero();
    for (F8& v : g) v = zero();
    for (int i = 0; i < stride; i += 8) {
        const RigidColumns c = rigid_columns(xyz, stride, i, r, s);
        const F8 w = load(weights + i), rx = load(residual + i), ry = load(residual + stride + i);
        F8 wx[4], wy[4];
        for (int k = 0; k < 4; ++k) {
            wx[k] = w * c.x[k];
            wy[k] = w * c.y[k];
        }
        int entry = 0;
        for (int k = 0; k < 4; ++k)
            for (int l = 0; l <= k; ++l, ++entry) h[entry] = fma(wy[k], c.y[l], fma(wx[k], c.x[l], h[entry]));
        for (int l = 0; l < 4; ++l) h[10 + l] = h[10 + l] + wx[l];  // row of tx
        for (int l = 0; l < 4; ++l) h[15 + l] = h[15 + l] + wy[l];  // row of ty
        h[14] = h[14] + w;
        for (int k = 0; k < 4; ++k) g[k] = fma(wy[k], ry, fma(wx[k], rx, g[k]));
        g[4] = fma(w, rx, g[4]);
        g[5] = fma(w, ry, g[5]);
        if (!rigid) {
            // For each of the six columns c and the residual: the three n-vectors whose product with a mode's
            // x, y and z rows gives the entry with that mode.
            for (int axis = 0; axis < 3; ++axis) {
                const F8 sx = s * broadcast(r[axis]), sy = s * broadcast(r[3 + axis]);
                float* out = columns + axis * stride + i;
                for (int k = 0; k < 4; ++k, out += 3 * stride) store(out, fma(wy[k], sy, wx[k] * sx));
                store(out, w * sx);
                store(out + 3 * stride, w * sy);
                store(out + 6 * stride, w * fma(ry, sy, rx * sx));
            }
        }
    }
    int entry = 0;
    for (int k = 0; k < 4; ++k)
        for (int l = 0; l <= k; ++l, ++entry) hessian[l * height + k] = sum(h[entry]);
    for (int l = 0; l < 4; ++l) {
        hessian[l * height + 4] = sum(h[10 + l]);
        hessian[l * height + 5] = sum(h[15 + l]);
    }
    const float total_weight = sum(h[14]);
    hessian[4 * height + 4] = total_weight;
    hessian[4 * height + 5] = 0.0f;
    hessian[5 * height + 5] = total_weight;
    for (int k = 0; k < 6; ++k) gradient[k] = sum(g[k]);
    if (rigid) return;

    // Rows of the modes: their products with the rigid columns and with the residual.
    const int length = 3 * stride;
    for (int k = 0; k < mode_count; ++k) {
        const float* mode = modes + k * length;
        F8 t[7];
        for (F8& v : t) v = zero();
        for (int i = 0; i < length; i += 8) {
            const F8 v = load(mode + i);
            for (int c = 0; c < 7; ++c) t[c] = fma(v, load(columns + c * length + i), t[c]);
        }
        for (int c = 0; c < 6; ++c) hessian[c * height + 6 + k] = sum(t[c]);
        gradient[6 + k] = sum(t[6]);
    }

    // The block of the modes from the six Gram matrices.
    const float s2 = scale * scale;
    const F8 cxx = broadcast(s2 * fma(r[3], r[3], r[0] * r[0])),
             cyy = broadcast(s2 * fma(r[4], r[4], r[1] * r[1])),
             czz = broadcast(s2 * fma(r[5], r[5], r[2] * r[2])),
             cxy = broadcast(s2 * fma(r[3], r[4], r[0] * r[1])),
             cxz = broadcast(s2 * fma(r[3], r[5], r[0] * r[2])),
             cyz = broadcast(s2 * fma(r[4], r[5], r[1] * r[2]));
    const int matrix = mode_count * mode_stride;
    for (int k = 0; k < mode_count; ++k) {
        const float* row = gram + k * mode_stride;
        float* out = hessian + (6 + k) * height + 6;
        for (int l = k / 8 * 8; l < mode_count; l += 8) {
            F8 v = cxx * load(row + l);
            v = fma(cyy, load(row + matrix + l), v);
            v = fma(czz, load(row + 2 * matrix + l), v);
            v = fma(cxy, load(row + 3 * matrix + l), v);
            v = fma(cxz, load(row + 4 * matrix + l), v);
            v = fma(cyz, load(row + 5 * matrix + l), v);
            store(out + l, v);
        }
    }
}

namespace {

// Entries i .. i + 8 * V of column j: those of the matrix minus the products of the columns before it.
template <int V>
OPENFACE_INLINE void reduce_column(const float* column, const double* factor, int height, int j, int i,
                                   D8* value) {
    for (int v = 0; v < V; ++v) value[v] = to_double(load(column + i + 8 * v));
    for (int k = 0; k < j; ++k) {
        const double* earlier = factor + k * height;
        const D8 f = broadcast8d(earlier[j]);
        for (int v = 0; v < V; ++v) value[v] -= load8d(earlier + i + 8 * v) * f;
    }
}

template <int V>
OPENFACE_INLINE void store_column(const D8* value, double inverse, int height, int j, int i, int size,
                                  double* factor, double* transposed) {
    for (int v = 0; v < V; ++v) {
        store(factor + j * height + i + 8 * v, to_double(to_float(value[v] * broadcast8d(inverse))));
        for (int l = i + 8 * v; l < i + 8 * v + 8 && l < size; ++l)
            transposed[l * height + j] = factor[j * height + l];
    }
}

}  // namespace

// Left-looking by columns: column j minus the products of the columns before it, in double, then scaled and
// rounded to float.
bool solve_cholesky(const float* matrix, int size, int height, double* scratch, float* x) {
    double inverse_diagonal[256];
    double* factor = scratch;                      // columns of L, as doubles
    double* transposed = scratch + size * height;  // rows of L
    for (int j = 0; j < size; ++j) {
        const float* column = matrix + j * height;
        int i = j / 8 * 8;
        const int pivot_lane = j - i;
        while (i < size) {
            const int vectors = (size - i + 7) / 8;
            D8 value[4];
            if (vectors >= 4)
                reduce_column<4>(column, factor, height, j, i, value);
            else if (vectors == 3)
                reduce_column<3>(column, factor, height, j, i, value);
            else if (vectors == 2)
                reduce_column<2>(column, factor, height, j, i, value);
            else
                reduce_column<1>(column, factor, height, j, i, value);
            if (i <= j) {
                double lanes[8];
                store(lanes, value[0]);
                const double pivot = lanes[pivot_lane];
                if (!(pivot >= 1.1920928955078125e-07)) return false;
                inverse_diagonal[j] = double(float(1.0 / __builtin_sqrt(pivot)));
            }
            const double inverse = inverse_diagonal[j];
            if (vectors >= 4)
                store_column<4>(value, inverse, height, j, i, size, factor, transposed);
            else if (vectors == 3)
                store_column<3>(value, inverse, height, j, i, size, factor, transposed);
            else if (vectors == 2)
                store_column<2>(value, inverse, height, j, i, size, factor, transposed);
            else
                store_column<1>(value, inverse, height, j, i, size, factor, transposed);
            i += 8 * (vectors < 4 ? vectors : 4);
        }
    }
    // L y = x in float, then L^T x = y in double. Each unknown, once known, is taken out of all that remain.
    for (int j = 0; j < size; ++j) {
        const double* column = factor + j * height;
        const float solved = float(double(x[j]) * inverse_diagonal[j]);
        x[j] = solved;
        const F8 s = broadcast(solved);
        for (int i = (j + 1) / 8 * 8; i < size; i += 8) {
            const F8 old = load(x + i);
            store(x + i, select(iota() + i > j, fma(-to_float(load8d(column + i)), s, old), old));
        }
    }
    double remaining[256];
    for (int i = 0; i < size; i += 8) store(remaining + i, to_double(load(x + i)));
    for (int i = size - 1; i >= 0; --i) {
        x[i] = float(remaining[i] * inverse_diagonal[i]);
        const double* row = transposed + i * height;
        const D8 s = broadcast8d(double(x[i]));
        for (int j = 0; j < i; j += 8) store(remaining + j, load8d(remaining + j) - load8d(row + j) * s);
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
