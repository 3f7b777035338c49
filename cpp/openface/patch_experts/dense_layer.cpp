#include "openface/patch_experts/dense_layer.h"

#include <algorithm>

namespace openface {

namespace {

// Calls visit(output, lane) for all outputs.
template <class Visit>
void for_each_lane(int outputs, const Visit& visit) {
    const DenseLanes lanes = dense_lanes(outputs);
    for (int output = 0; output < outputs; ++output) {
        const int twelve = output / 12;
        const int within = output % 12;
        if (twelve < lanes.twelves)
            visit(output, within < 6 ? 6 * twelve + within : lanes.second_sixes + 6 * twelve + within - 6);
        else if (within < lanes.in_fours)
            visit(output, lanes.fours + within);
        else
            visit(output, lanes.last + within - lanes.in_fours);
    }
}

}  // namespace

void pack_dense_weights(const float* weights, int outputs, int inputs, float* panels) {
    const int count = dense_lanes(outputs).count;
    std::fill_n(panels, std::size_t(count) * std::size_t(inputs), 0.0f);
    for_each_lane(outputs, [&](int output, int lane) {
        const int first = lane / dense_panel * dense_panel;
        const int width = std::min(dense_panel, count - first);
        const float* row = weights + std::size_t(output) * std::size_t(inputs);
        float* target = panels + std::size_t(first) * std::size_t(inputs) + (lane - first);
        for (int k = 0; k < inputs; ++k) target[std::size_t(k) * std::size_t(width)] = row[k];
    });
}

void pack_dense_bias(const float* bias, int outputs, float* lanes) {
    std::fill_n(lanes, dense_lanes(outputs).count, 0.0f);
    for_each_lane(outputs, [&](int output, int lane) { lanes[lane] = bias[output]; });
}

}  // namespace openface
