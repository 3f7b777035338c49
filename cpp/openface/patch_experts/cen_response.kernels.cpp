#include "openface/patch_experts/cen_response.h"

#include "openface/core/simd.h"

namespace openface::OPENFACE_ISA {

void cen_inputs_of_area(const float* transposed, int stride, int window, int step, const float* means,
                        const float* reciprocal_norms, float* inputs) {
    const int line = patch_line_stride(window);
    for (int k = step - 1; k < window * window; k += step, inputs += cen_input_stride) {
        const int x = k / window;
        const int y = k % window;
        const F8 mean = broadcast(means[x * line + y]);
        const F8 reciprocal_norm = broadcast(reciprocal_norms[x * line + y]);
        inputs[0] = 1.0f;
        // Sixteen values per column; the next column overwrites the five that are too many.
        for (int column = 0; column < cen_support; ++column) {
            const float* source = transposed + (x + column) * stride + y;
            float* target = inputs + 1 + column * cen_support;
            store(target, (load(source) - mean) * reciprocal_norm);
            store(target + 8, (load(source + 8) - mean) * reciprocal_norm);
        }
    }
}

namespace {

// The mean of the neighbours that were evaluated: the reference multiplies by a float matrix of weights and
// accumulates in double.
OPENFACE_INLINE float interpolate(const float* outputs, std::ptrdiff_t out_stride, int window, int k) {
    const int x = k / window;
    const int y = k % window;
    const bool has[4] = {x > 0, y > 0, y + 1 < window, x + 1 < window};
    const int neighbours[4] = {k - window, k - 1, k + 1, k + window};
    const int count = has[0] + has[1] + has[2] + has[3];
    if (count == 0) return 0.0f;  // window 1: its only position is left out
    const float weight = 1.0f / float(count);
    double sum = 0.0;
    for (int i = 0; i < 4; ++i)
        if (has[i]) sum += double(outputs[neighbours[i] / 2 * out_stride]) * double(weight);
    return float(sum);
}

}  // namespace

void cen_map_of_outputs(const float* outputs, std::ptrdiff_t out_stride, int window, int step, bool mirrored,
                        float* map, int map_stride) {
    for (int y = 0; y < window; ++y)
        for (int x = window; x < map_stride; ++x) map[y * map_stride + x] = 0.0f;
    for (int k = 0; k < window * window; ++k) {
        const int x = mirrored ? window - 1 - k / window : k / window;
        const int y = k % window;
        map[y * map_stride + x] = step == 1    ? outputs[k * out_stride]
                                  : k % 2 == 1 ? outputs[k / 2 * out_stride]
                                               : interpolate(outputs, out_stride, window, k);
    }
}

}  // namespace openface::OPENFACE_ISA
