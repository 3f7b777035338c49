// The response of one SVR modality: normalised cross-correlation of a template with the area of interest,
// then a logistic function (landmark-fitting.md, section 4.5).
#pragma once

#include <cstddef>

#include "openface/core/dispatch.h"

namespace openface {

// Square root of the squared gradient is not taken: the reference correlates the squared magnitude itself.
enum class SvrFeature : int { raw = 0, gradient = 1 };

struct SvrTemplate {
    const float* weights;  // support x support, row by row
    double mean;
    double deviation_root;  // sqrt(variance) * sqrt(support^2)
    double scaling;
    double bias;
    int support;
    bool flat;  // the variance counts as 0: the correlation is 1 everywhere
};

inline constexpr int svr_rows_together = 4;
// The doubles that one area of size x size needs: the features with whole vectors behind each row and spare
// rows, and four rows of sums.
constexpr int svr_feature_stride(int size) {
    return (size + 7) / 8 * 8 + 16;
}
constexpr std::size_t svr_scratch_size(int size) {
    return std::size_t(svr_feature_stride(size)) * std::size_t(size + svr_rows_together + 4);
}

// Grey area (size x size, rows `stride` apart) -> features, svr_feature_stride(size) doubles per row.
OPENFACE_KERNEL(svr_features_of_area,
                void(const float* area, int stride, int size, SvrFeature feature, double* features));

// Multiplies the window x window response into `map` (rows `map_stride` apart, a multiple of 8).
OPENFACE_KERNEL(svr_multiply_response, void(double* features, int size, int window, const SvrTemplate& expert,
                                            float* map, int map_stride));

}  // namespace openface
