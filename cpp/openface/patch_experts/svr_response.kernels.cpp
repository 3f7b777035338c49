// Everything is computed in double with lanes along the rows of the window. The products of two floats are
// exact in double, so a fused multiply-add would give the same bits.
#include "openface/patch_experts/svr_response.h"

#include "openface/core/simd.h"

namespace openface::OPENFACE_ISA {

namespace {

OPENFACE_INLINE D8 square_root(D8 v) {
    for (int i = 0; i < 8; ++i) v[i] = __builtin_sqrt(v[i]);
    return v;
}

// x = n ln 2 + r, Taylor polynomial of degree 13 in r; relative error below 1e-15. |x| is limited to 700.
OPENFACE_INLINE D8 exponential(D8 x) {
    const D8 limit = broadcast8d(700.0);
    x = x < -limit ? -limit : x;
    x = x > limit ? limit : x;
    const D8 magic = broadcast8d(6755399441055744.0);  // 1.5 * 2^52: adding it rounds to an integer
    const D8 shifted = x * 1.44269504088896340736 + magic;
    const D8 n = shifted - magic;
    D8 r = x - n * 6.93147180369123816490e-01;
    r = r - n * 1.90821492927058770002e-10;
    constexpr double reciprocal_factorials[] = {1.0 / 6227020800.0,
                                                1.0 / 479001600.0,
                                                1.0 / 39916800.0,
                                                1.0 / 3628800.0,
                                                1.0 / 362880.0,
                                                1.0 / 40320.0,
                                                1.0 / 5040.0,
                                                1.0 / 720.0,
                                                1.0 / 120.0,
                                                1.0 / 24.0,
                                                1.0 / 6.0,
                                                0.5,
                                                1.0,
                                                1.0};
    D8 p = D8{};
    for (const double c : reciprocal_factorials) p = p * r + c;
    L8 exponent;
    std::memcpy(&exponent, &shifted, sizeof exponent);
    exponent = (exponent + 1023) << 52;  // the low bits of `shifted` are those of n
    D8 power;
    std::memcpy(&power, &exponent, sizeof power);
    return p * power;
}

// Mean and standard deviation of the area; 1 if that is 0. Lanes are columns, added up in one fixed order.
OPENFACE_INLINE void moments(const float* area, int stride, int size, double* mean, double* deviation) {
    const double count = double(size * size);
    const L8 lane = {0, 1, 2, 3, 4, 5, 6, 7};
    double totals[2];
    for (int pass = 0; pass < 2; ++pass) {
        D8 total = D8{};
        for (int y = 0; y < size; ++y)
            for (int x = 0; x < size; x += 8) {
                const D8 v = to_double(load(area + y * stride + x));
                const D8 term = pass == 0 ? v : (v - totals[0]) * (v - totals[0]);
                total = total + (lane + x < size ? term : D8{});
            }
        totals[pass] = sum(total) / count;
    }
    *mean = totals[0];
    *deviation = totals[1] > 0.0 ? __builtin_sqrt(totals[1]) : 1.0;
}

// Sums of the values and of their squares over support x support boxes, for one row of positions.
OPENFACE_INLINE void box_sums(const double* features, int row_stride, int window, int support,
                              double* column_sums, double* column_squares, double* sums, double* squares) {
    const int size = window + support - 1;
    for (int x = 0; x < size; x += 8) {
        D8 s = D8{}, q = D8{};
        for (int y = 0; y < support; ++y) {
            const D8 v = load8d(features + y * row_stride + x);
            s = s + v;
            q = q + v * v;
        }
        store(column_sums + x, s);
        store(column_squares + x, q);
    }
    for (int x = 0; x < window; x += 8) {
        D8 s = D8{}, q = D8{};
        for (int i = 0; i < support; ++i) {
            s = s + load8d(column_sums + x + i);
            q = q + load8d(column_squares + x + i);
        }
        store(sums + x, s);
        store(squares + x, q);
    }
}

// Correlations of four rows of positions with the template, eight or sixteen columns.
template <int Vectors>
OPENFACE_INLINE void correlate(const double* features, int row_stride, const SvrTemplate& expert,
                               D8 (&total)[svr_rows_together][2]) {
    for (int row = 0; row < svr_rows_together; ++row)
        for (int v = 0; v < Vectors; ++v) total[row][v] = D8{};
    const float* weight = expert.weights;
    for (int y = 0; y < expert.support; ++y)
        for (int x = 0; x < expert.support; ++x, ++weight) {
            const D8 w = broadcast8d(double(*weight));
            const double* value = features + y * row_stride + x;
            for (int row = 0; row < svr_rows_together; ++row)
                for (int v = 0; v < Vectors; ++v)
                    total[row][v] = total[row][v] + w * load8d(value + row * row_stride + 8 * v);
        }
}

OPENFACE_INLINE F8 response_of(D8 correlation, D8 box, D8 box_squares, const SvrTemplate& expert) {
    const double count = double(expert.support * expert.support);
    const D8 one = broadcast8d(1.0);
    const D8 numerator = to_double(to_float(correlation)) - box * expert.mean;
    const D8 spread = box_squares - box * box / count;
    const D8 denominator = square_root(spread > 0.0 ? spread : D8{}) * expert.deviation_root;
    const D8 magnitude = numerator < 0.0 ? -numerator : numerator;
    const D8 sign = numerator < 0.0 ? -one : one;
    D8 rho = magnitude < denominator           ? numerator / denominator
             : magnitude < denominator * 1.125 ? sign
                                               : D8{};
    if (expert.flat) rho = one;
    const D8 z = to_double(to_float(rho)) * expert.scaling + expert.bias;
    return to_float(one / (one + exponential(-z)));
}

}  // namespace

void svr_features_of_area(const float* area, int stride, int size, SvrFeature feature, double* features) {
    const int row_stride = svr_feature_stride(size);
    for (int i = 0; i < row_stride * (size + svr_rows_together); i += 8) store(features + i, D8{});
    if (feature == SvrFeature::raw) {
        double mean, deviation;
        moments(area, stride, size, &mean, &deviation);
        const F8 subtrahend = broadcast(float(mean));
        const F8 factor = broadcast(float(1.0 / deviation));
        for (int y = 0; y < size; ++y)
            for (int x = 0; x < size; x += 8)
                store(features + y * row_stride + x,
                      to_double((load(area + y * stride + x) - subtrahend) * factor));
        return;
    }
    for (int y = 1; y + 1 < size; ++y) {
        const float* row = area + y * stride;
        double* out = features + y * row_stride;
        for (int x = 1; x + 1 < size; ++x) {
            const float dx = row[x + 1] - row[x - 1];
            const float dy = row[x + stride] - row[x - stride];
            out[x] = double(dx * dx + dy * dy);
        }
    }
}

void svr_multiply_response(double* features, int size, int window, const SvrTemplate& expert, float* map,
                           int map_stride) {
    const int row_stride = svr_feature_stride(size);
    double* column_sums = features + row_stride * (size + svr_rows_together);
    double* column_squares = column_sums + row_stride;
    double* sums = column_squares + row_stride;
    double* squares = sums + row_stride;
    for (int first = 0; first < window; first += svr_rows_together) {
        for (int x = 0; x < window; x += 16) {
            const int vectors = x + 8 < window ? 2 : 1;
            D8 correlation[svr_rows_together][2];
            const double* from = features + first * row_stride + x;
            if (vectors == 2)
                correlate<2>(from, row_stride, expert, correlation);
            else
                correlate<1>(from, row_stride, expert, correlation);
            for (int row = 0; row < svr_rows_together && first + row < window; ++row) {
                box_sums(features + (first + row) * row_stride, row_stride, window, expert.support,
                         column_sums, column_squares, sums, squares);
                float* out = map + (first + row) * map_stride + x;
                for (int v = 0; v < vectors; ++v) {
                    const int column = x + 8 * v;
                    const F8 response = response_of(correlation[row][v], load8d(sums + column),
                                                    load8d(squares + column), expert);
                    store(out + 8 * v, load(out + 8 * v) * response);
                }
            }
        }
    }
}

}  // namespace openface::OPENFACE_ISA
