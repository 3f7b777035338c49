// The dot products behind all predictors (action-units.md, section 8).
#pragma once

#include "openface/core/dispatch.h"

namespace openface {

// Dot products of one vector, or of two at once, with all packed weight columns. weights: feature_count rows
// of 8 * blocks doubles; dots: 8 * blocks doubles. Sums run over the features in order, one predictor per
// lane.
OPENFACE_KERNEL(predictor_dots, void(const double* weights, int blocks, const double* features,
                                     int feature_count, double* dots));
OPENFACE_KERNEL(predictor_dots_of_two,
                void(const double* weights, int blocks, const double* features, const double* medians,
                     int feature_count, double* dots, double* median_dots));

}  // namespace openface
