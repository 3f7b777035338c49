#include "openface/patch_experts/patch_normalisation.h"

#include "openface/core/simd.h"

namespace openface::OPENFACE_ISA {

namespace {

constexpr int together = 4;  // lines, to hide the latency of the additions

OPENFACE_INLINE F8 reciprocal_norm(F8 squares) {
    const F8 norm = sqrt(squares);
    return broadcast(1.0f) / select(norm == zero(), broadcast(1.0f), norm);
}

// Sixteen positions of each of four lines.
OPENFACE_INLINE void statistics_of(const float* patches, const PatchLayout& layout, F16* means,
                                   F16* reciprocals) {
    const int support = layout.support;
    const int count = support * support;
    F16 sums[together], squares[together];
    for (int i = 0; i < together; ++i) sums[i] = squares[i] = broadcast16(0.0f);
    for (int row = 0; row < support; ++row)
        for (int column = 0; column < support; ++column) {
            const float* pixel = patches + row * layout.row_step + column * layout.column_step;
            for (int i = 0; i < together; ++i) sums[i] = sums[i] + load16(pixel + i * layout.line_step);
        }
    const F8 divisor = broadcast(float(count));
    for (int i = 0; i < together; ++i) means[i] = join(low(sums[i]) / divisor, high(sums[i]) / divisor);

    const int plain = count / 8 * 8;
    int done = 0;
    for (int column = 0; column < support; ++column)
        for (int row = 0; row < support; ++row, ++done) {
            const float* pixel = patches + row * layout.row_step + column * layout.column_step;
            for (int i = 0; i < together; ++i) {
                const F16 value = load16(pixel + i * layout.line_step) - means[i];
                squares[i] = done < plain ? squares[i] + value * value : fma(value, value, squares[i]);
            }
        }
    for (int i = 0; i < together; ++i)
        reciprocals[i] = join(reciprocal_norm(low(squares[i])), reciprocal_norm(high(squares[i])));
}

}  // namespace

void patch_statistics(const float* area, const PatchLayout& layout, float* means, float* reciprocal_norms) {
    const int stride = patch_line_stride(layout.window);
    for (int line = 0; line < layout.window; line += together)
        for (int position = 0; position < layout.window; position += 16) {
            F16 mean[together], reciprocal[together];
            statistics_of(area + line * layout.line_step + position, layout, mean, reciprocal);
            for (int i = 0; i < together && line + i < layout.window; ++i) {
                store(means + (line + i) * stride + position, mean[i]);
                store(reciprocal_norms + (line + i) * stride + position, reciprocal[i]);
            }
        }
}

}  // namespace openface::OPENFACE_ISA
