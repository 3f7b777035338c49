#include "openface/image/area_warp.h"

namespace openface {

AreaMap area_map(float a, float b, float x, float y, int size) {
    const float half = float(size - 1) / 2.0f;
    return {a, b, (x - a * half) + b * half, (y - a * half) - b * half};
}

}  // namespace openface
