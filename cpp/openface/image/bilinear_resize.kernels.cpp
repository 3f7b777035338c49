#include "openface/image/bilinear_resize.h"

#include "openface/core/simd.h"

namespace openface::OPENFACE_ISA {

// One gathered word holds a colour's value in a pixel (lowest byte) and in the next pixel (highest byte).
void interpolate_columns(const std::uint8_t* row, const std::int32_t* first, const float* weight0,
                         const float* weight1, float* out, int count) {
    for (int k = 0; k < count; k += 8) {
        const I8 word = gather_bytes4(row, load(first + k));
        const F8 left = to_float(word & 255);
        const F8 right = to_float((word >> 24) & 255);
        store(out + k, left * load(weight0 + k) + right * load(weight1 + k));
    }
}

void interpolate_rows(const float* upper, const float* lower, float weight0, float weight1, float offset,
                      float scale, float* out, int count) {
    const F8 w0 = broadcast(weight0);
    const F8 w1 = broadcast(weight1);
    for (int k = 0; k < count; k += 8)
        store(out + k, (load(upper + k) * w0 + load(lower + k) * w1 - broadcast(offset)) * broadcast(scale));
}

}  // namespace openface::OPENFACE_ISA
