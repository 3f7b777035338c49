// One pass over the packed weights of all predictors: up to five blocks of eight predictors stay in
// registers.
#include <cstddef>

#include "openface/core/simd.h"
#include "openface/face_analyser/predictor_kernels.h"

namespace openface::OPENFACE_ISA {

namespace {

// As many predictors as one register holds; each has a lane of its own, so the width does not change a bit.
#if defined(OPENFACE_ISA_AVX512)
typedef D8 Lanes;
#elif defined(OPENFACE_ISA_AVX2)
typedef double Lanes __attribute__((vector_size(32)));
#else
typedef double Lanes __attribute__((vector_size(16)));
#endif
constexpr int lanes = int(sizeof(Lanes) / sizeof(double));

OPENFACE_INLINE Lanes load_lanes(const double* p) {
    Lanes v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
OPENFACE_INLINE void store_lanes(double* p, Lanes v) {
    std::memcpy(p, &v, sizeof v);
}

template <int Blocks>
void dots(const double* weights, int stride, const double* features, int feature_count, double* out) {
    constexpr int count = Blocks * 8 / lanes;
    Lanes sums[count] = {};
    for (int f = 0; f < feature_count; ++f) {
        const double x = features[f];
        if (x == 0.0) continue;  // the cut-off corners of the face; adds nothing
        const double* row = weights + std::ptrdiff_t(f) * stride;
        for (int b = 0; b < count; ++b) sums[b] = sums[b] + load_lanes(row + lanes * b) * x;
    }
    for (int b = 0; b < count; ++b) store_lanes(out + lanes * b, sums[b]);
}

template <int Blocks>
void dots_of_two(const double* weights, int stride, const double* features, const double* medians,
                 int feature_count, double* out, double* median_out) {
    constexpr int count = Blocks * 8 / lanes;
    Lanes sums[count] = {}, median_sums[count] = {};
    for (int f = 0; f < feature_count; ++f) {
        const double x = features[f], m = medians[f];
        if (x == 0.0 && m == 0.0) continue;
        const double* row = weights + std::ptrdiff_t(f) * stride;
        for (int b = 0; b < count; ++b) {
            const Lanes w = load_lanes(row + lanes * b);
            sums[b] = sums[b] + w * x;
            median_sums[b] = median_sums[b] + w * m;
        }
    }
    for (int b = 0; b < count; ++b) {
        store_lanes(out + lanes * b, sums[b]);
        store_lanes(median_out + lanes * b, median_sums[b]);
    }
}

}  // namespace

void predictor_dots(const double* weights, int blocks, const double* features, int feature_count,
                    double* out) {
    const int stride = 8 * blocks;
    int block = 0;
    for (; block + 5 <= blocks; block += 5)
        dots<5>(weights + 8 * block, stride, features, feature_count, out + 8 * block);
    for (; block < blocks; ++block)
        dots<1>(weights + 8 * block, stride, features, feature_count, out + 8 * block);
}

void predictor_dots_of_two(const double* weights, int blocks, const double* features, const double* medians,
                           int feature_count, double* out, double* median_out) {
    const int stride = 8 * blocks;
    int block = 0;
    for (; block + 5 <= blocks; block += 5)
        dots_of_two<5>(weights + 8 * block, stride, features, medians, feature_count, out + 8 * block,
                       median_out + 8 * block);
    for (; block < blocks; ++block)
        dots_of_two<1>(weights + 8 * block, stride, features, medians, feature_count, out + 8 * block,
                       median_out + 8 * block);
}

}  // namespace openface::OPENFACE_ISA
