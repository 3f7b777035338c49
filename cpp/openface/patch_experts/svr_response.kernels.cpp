// Features are floats; everything else is computed in double with lanes along the rows of the window and
// rounded to float where the reference stores it. The products of two floats are exact in double, so a fused
// multiply-add would give the same bits.
#include "openface/patch_experts/svr_response.h"

#include "openface/core/simd.h"

namespace openface::OPENFACE_ISA {

namespace {

// One register of doubles (wider vectors would be taken apart into single numbers), and as many rows of
// positions at a time as the registers hold sums for.
#if defined(OPENFACE_ISA_AVX512)
constexpr int lanes = 8, rows_together = svr_rows_together;
#else
constexpr int lanes = 4, rows_together = svr_rows_together / 2;
#endif
typedef double Doubles __attribute__((vector_size(8 * lanes)));
typedef std::int64_t Longs __attribute__((vector_size(8 * lanes)));
typedef float Floats __attribute__((vector_size(4 * lanes)));
constexpr int columns_together = 16;

OPENFACE_INLINE Doubles load_doubles(const double* p) {
    Doubles v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
OPENFACE_INLINE void store_doubles(double* p, Doubles v) {
    std::memcpy(p, &v, sizeof v);
}
OPENFACE_INLINE Doubles rounded_to_float(Doubles v) {
    return __builtin_convertvector(__builtin_convertvector(v, Floats), Doubles);
}

OPENFACE_INLINE Doubles square_root(Doubles v) {
    for (int i = 0; i < lanes; ++i) v[i] = __builtin_sqrt(v[i]);
    return v;
}

// x = n ln 2 + r, Taylor polynomial of degree 13 in r; relative error below 1e-15. |x| is limited to 700.
OPENFACE_INLINE Doubles exponential(Doubles x) {
    const Doubles limit = Doubles{} + 700.0;
    x = x < -limit ? -limit : x;
    x = x > limit ? limit : x;
    const Doubles magic = Doubles{} + 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer
    const Doubles shifted = x * 1.44269504088896340736 + magic;
    const Doubles n = shifted - magic;
    Doubles r = x - n * 6.93147180369123816490e-01;
    r = r - n * 1.90821492927058770002e-10;
    Doubles p = Doubles{} + 1.0;
    for (int k = 13; k >= 1; --k) p = 1.0 + p * r * (1.0 / k);
    Longs exponent;
    std::memcpy(&exponent, &shifted, sizeof exponent);
    exponent = (exponent + 1023) << 52;  // the low bits of `shifted` are those of n
    Doubles power;
    std::memcpy(&power, &exponent, sizeof power);
    return p * power;
}

// Mean and standard deviation of the area; 1 if that is 0. Lanes are columns, added up in one fixed order.
OPENFACE_INLINE void moments(const float* area, int stride, int size, double* mean, double* deviation) {
    const double count = double(size * size);
    double totals[2];
    for (int pass = 0; pass < 2; ++pass) {
        D8 total = D8{};
        for (int y = 0; y < size; ++y)
            for (int x = 0; x < size; x += 8) {
                const D8 v = to_double(load(area + y * stride + x));
                const D8 term = pass == 0 ? v : (v - totals[0]) * (v - totals[0]);
                total = total + first_lanes(term, size - x);
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
    for (int x = 0; x < size; x += lanes) {
        Doubles s = Doubles{}, q = Doubles{};
        for (int y = 0; y < support; ++y) {
            const Doubles v = load_doubles(features + y * row_stride + x);
            s = s + v;
            q = q + v * v;
        }
        store_doubles(column_sums + x, s);
        store_doubles(column_squares + x, q);
    }
    for (int x = 0; x < window; x += lanes) {
        Doubles s = Doubles{}, q = Doubles{};
        for (int i = 0; i < support; ++i) {
            s = s + load_doubles(column_sums + x + i);
            q = q + load_doubles(column_squares + x + i);
        }
        store_doubles(sums + x, s);
        store_doubles(squares + x, q);
    }
}

// Correlations of some rows of positions with the template, 8 * Eights columns each.
template <int Eights>
OPENFACE_INLINE void correlate(const double* features, int row_stride, const SvrTemplate& expert,
                               double (*correlations)[columns_together]) {
    constexpr int vectors = 8 * Eights / lanes;
    Doubles total[rows_together][vectors] = {};
    const float* weight = expert.weights;
    for (int y = 0; y < expert.support; ++y)
        for (int x = 0; x < expert.support; ++x, ++weight) {
            const double w = double(*weight);
            const double* value = features + y * row_stride + x;
            for (int row = 0; row < rows_together; ++row)
                for (int v = 0; v < vectors; ++v) {
                    const Doubles values = load_doubles(value + row * row_stride + lanes * v);
                    total[row][v] = total[row][v] + values * w;
                }
        }
    for (int row = 0; row < rows_together; ++row)
        for (int v = 0; v < vectors; ++v) store_doubles(correlations[row] + lanes * v, total[row][v]);
}

OPENFACE_INLINE Floats response_of(Doubles correlation, Doubles box, Doubles box_squares,
                                   const SvrTemplate& expert) {
    const double count = double(expert.support * expert.support);
    const Doubles one = Doubles{} + 1.0;
    const Doubles numerator = rounded_to_float(correlation) - box * expert.mean;
    const Doubles spread = box_squares - box * box / count;
    const Doubles denominator = square_root(spread > 0.0 ? spread : Doubles{}) * expert.deviation_root;
    const Doubles magnitude = numerator < 0.0 ? -numerator : numerator;
    const Doubles sign = numerator < 0.0 ? -one : one;
    Doubles rho = magnitude < denominator           ? numerator / denominator
                  : magnitude < denominator * 1.125 ? sign
                                                    : Doubles{};
    if (expert.flat) rho = one;
    const Doubles z = rounded_to_float(rho) * expert.scaling + expert.bias;
    return __builtin_convertvector(one / (one + exponential(-z)), Floats);
}

}  // namespace

void svr_features_of_area(const float* area, int stride, int size, SvrFeature feature, double* features) {
    const int row_stride = svr_feature_stride(size);
    for (int i = 0; i < row_stride * (size + svr_rows_together); i += 8) store(features + i, D8{});
    if (feature == SvrFeature::raw) {
        double mean, deviation;
        moments(area, stride, size, &mean, &deviation);
        // (v - mean) / deviation, as the reference evaluates it: one fused multiply-add of floats.
        const F8 factor = broadcast(float(1.0 / deviation));
        const F8 offset = broadcast(float(-mean / deviation));
        for (int y = 0; y < size; ++y)
            for (int x = 0; x < size; x += 8)
                store(features + y * row_stride + x,
                      to_double(fma(load(area + y * stride + x), factor, offset)));
        return;
    }
    for (int y = 1; y + 1 < size; ++y) {
        const float* row = area + y * stride;
        double* out = features + y * row_stride;
        for (int x = 1; x + 1 < size; ++x) {
            const float dx = row[x + 1] - row[x - 1];
            const float dy = row[x + stride] - row[x - stride];
            out[x] = double(fma(dx, dx, dy * dy));
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
    for (int first = 0; first < window; first += rows_together)
        for (int x = 0; x < window; x += columns_together) {
            const int eights = x + 8 < window ? 2 : 1;
            const double* from = features + first * row_stride + x;
            double correlations[rows_together][columns_together];
            if (eights == 2)
                correlate<2>(from, row_stride, expert, correlations);
            else
                correlate<1>(from, row_stride, expert, correlations);
            for (int row = 0; row < rows_together && first + row < window; ++row) {
                box_sums(features + (first + row) * row_stride, row_stride, window, expert.support,
                         column_sums, column_squares, sums, squares);
                float* out = map + (first + row) * map_stride + x;
                for (int i = 0; i < 8 * eights; i += lanes) {
                    const Floats response =
                        response_of(load_doubles(correlations[row] + i), load_doubles(sums + x + i),
                                    load_doubles(squares + x + i), expert);
                    Floats product;
                    std::memcpy(&product, out + i, sizeof product);
                    product = product * response;
                    std::memcpy(out + i, &product, sizeof product);
                }
            }
        }
}

}  // namespace openface::OPENFACE_ISA
