#include "openface/patch_experts/dense_layer.h"

#include <algorithm>

namespace openface {

void pack_dense_weights(float* weights, int outputs, int inputs, float* panel) {
    for (int first = 0; first < outputs; first += dense_panel) {
        const int height = std::min(dense_panel, outputs - first);
        float* rows = weights + std::size_t(first) * std::size_t(inputs);
        std::copy(rows, rows + std::size_t(height) * std::size_t(inputs), panel);
        for (int k = 0; k < inputs; ++k)
            for (int row = 0; row < height; ++row)
                rows[std::size_t(k) * std::size_t(height) + std::size_t(row)] =
                    panel[std::size_t(row) * std::size_t(inputs) + std::size_t(k)];
    }
}

}  // namespace openface
